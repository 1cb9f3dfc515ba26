/*
 * switch_x86_64_windows.S - the context switch for the convention of x86-64 on Windows.
 *
 * A suspended stack holds, from its stack pointer up: xmm6 to xmm15 (160 bytes), mxcsr and the x87 control word (8), the
 * thread's StackLimit, StackBase, DeallocationStack and ExceptionList, r15, r14, r13, r12, rdi, rsi, rbx, rbp, the
 * address to go on at. The four words lie in the thread's block (at gs), and tell the system which stack the thread runs
 * on: it grows it, and looks for handlers of exceptions on it, by them. StackLimit is read last, when the whole frame
 * has been touched, since that may have made the stack grow.
 *
 * The switch ends in pop and jmp: see switch_x86_64.S. An unwinder knows an epilogue by its code alone, and takes that for
 * one which returns to the next word. So the epilogue ends before, in a jump to another function, as a tail call does: the
 * stack can be walked from each instruction but the very last one, whose prefix says that a function ends there.
 */
    .set TIB_EXCEPTION_LIST, 0x0
    .set TIB_STACK_BASE, 0x8
    .set TIB_STACK_LIMIT, 0x10
    .set TIB_DEALLOCATION_STACK, 0x1478

    .set FRAME, 200 /* below the registers that are pushed */
    .set CONTROL, 160
    .set STACK_LIMIT, 168 /* RP_SWITCH_BOUNDS: three words, as in rp_switch_bounds */
    .set STACK_BASE, 176
    .set DEALLOCATION_STACK, 184
    .set EXCEPTION_LIST, 192

    .text

    .globl rp_switch
    .def rp_switch; .scl 2; .type 32; .endef
    .p2align 4
    .seh_proc rp_switch
rp_switch:
    pushq %rbp
    .seh_pushreg %rbp
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rsi
    .seh_pushreg %rsi
    pushq %rdi
    .seh_pushreg %rdi
    pushq %r12
    .seh_pushreg %r12
    pushq %r13
    .seh_pushreg %r13
    pushq %r14
    .seh_pushreg %r14
    pushq %r15
    .seh_pushreg %r15
    subq $FRAME, %rsp
    .seh_stackalloc FRAME
    movaps %xmm6, (%rsp)
    .seh_savexmm %xmm6, 0
    movaps %xmm7, 16(%rsp)
    .seh_savexmm %xmm7, 16
    movaps %xmm8, 32(%rsp)
    .seh_savexmm %xmm8, 32
    movaps %xmm9, 48(%rsp)
    .seh_savexmm %xmm9, 48
    movaps %xmm10, 64(%rsp)
    .seh_savexmm %xmm10, 64
    movaps %xmm11, 80(%rsp)
    .seh_savexmm %xmm11, 80
    movaps %xmm12, 96(%rsp)
    .seh_savexmm %xmm12, 96
    movaps %xmm13, 112(%rsp)
    .seh_savexmm %xmm13, 112
    movaps %xmm14, 128(%rsp)
    .seh_savexmm %xmm14, 128
    movaps %xmm15, 144(%rsp)
    .seh_savexmm %xmm15, 144
    .seh_endprologue
    stmxcsr CONTROL(%rsp)
    fnstcw CONTROL+4(%rsp)
    movq %gs:TIB_EXCEPTION_LIST, %rax
    movq %rax, EXCEPTION_LIST(%rsp)
    movq %gs:TIB_DEALLOCATION_STACK, %rax
    movq %rax, DEALLOCATION_STACK(%rsp)
    movq %gs:TIB_STACK_BASE, %rax
    movq %rax, STACK_BASE(%rsp)
    movq %gs:TIB_STACK_LIMIT, %rax
    movq %rax, STACK_LIMIT(%rsp)
    movq %rsp, (%rcx)

    movq %rdx, %rsp
    movq STACK_LIMIT(%rsp), %rax
    movq %rax, %gs:TIB_STACK_LIMIT
    movq STACK_BASE(%rsp), %rax
    movq %rax, %gs:TIB_STACK_BASE
    movq DEALLOCATION_STACK(%rsp), %rax
    movq %rax, %gs:TIB_DEALLOCATION_STACK
    movq EXCEPTION_LIST(%rsp), %rax
    movq %rax, %gs:TIB_EXCEPTION_LIST
    ldmxcsr CONTROL(%rsp)
    fldcw CONTROL+4(%rsp)
    movaps (%rsp), %xmm6
    movaps 16(%rsp), %xmm7
    movaps 32(%rsp), %xmm8
    movaps 48(%rsp), %xmm9
    movaps 64(%rsp), %xmm10
    movaps 80(%rsp), %xmm11
    movaps 96(%rsp), %xmm12
    movaps 112(%rsp), %xmm13
    movaps 128(%rsp), %xmm14
    movaps 144(%rsp), %xmm15
    addq $FRAME, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rdi
    popq %rsi
    popq %rbx
    popq %rbp
    jmp rp_switch_go
    .seh_endproc

    /* It has no frame, so that the word at rsp is its return address. */
    .def rp_switch_go; .scl 3; .type 32; .endef
rp_switch_go:
    popq %rcx
    rex64 jmpq *%rcx

    /*
     * The first address of every new stack: rbx is the function, r12 its argument. It is come to by a jump, with rsp a
     * multiple of 16; the word there is 0, in place of a return address: backtraces end here. So would exceptions
     * unheard, but for the handler, which does what the system does at the outermost frame of a thread.
     */
    .def rp_switch_entry; .scl 3; .type 32; .endef
    .p2align 4
    .seh_proc rp_switch_entry
    .seh_handler rp_switch_unhandled, @except
rp_switch_entry:
    subq $32, %rsp
    .seh_stackalloc 32
    .seh_endprologue
    movq %r12, %rcx
    callq *%rbx
    ud2
    .seh_endproc

    .globl rp_switch_prepare
    .def rp_switch_prepare; .scl 2; .type 32; .endef
    .p2align 4
    .seh_proc rp_switch_prepare
rp_switch_prepare:
    .seh_endprologue
    leaq -288(%rcx), %rax
    xorl %r9d, %r9d
    stmxcsr CONTROL(%rax)
    fnstcw CONTROL+4(%rax)
    movq %r9, STACK_LIMIT(%rax)
    movq %rcx, STACK_BASE(%rax)
    movq %r9, DEALLOCATION_STACK(%rax)
    movq $-1, EXCEPTION_LIST(%rax)
    movq %r9, FRAME(%rax)     /* r15 */
    movq %r9, FRAME+8(%rax)   /* r14 */
    movq %r9, FRAME+16(%rax)  /* r13 */
    movq %r8, FRAME+24(%rax)  /* r12 */
    movq %r9, FRAME+32(%rax)  /* rdi */
    movq %r9, FRAME+40(%rax)  /* rsi */
    movq %rdx, FRAME+48(%rax) /* rbx */
    movq %r9, FRAME+56(%rax)  /* rbp */
    leaq rp_switch_entry(%rip), %r10
    movq %r10, FRAME+64(%rax)
    movq %r9, FRAME+72(%rax)  /* the return address of rp_switch_entry */
    movq %r9, FRAME+80(%rax)
    retq
    .seh_endproc
