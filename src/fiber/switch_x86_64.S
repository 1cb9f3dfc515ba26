/*
 * switch_x86_64.S - the context switch for the System V convention of x86-64.
 *
 * A suspended stack holds, from its stack pointer up: mxcsr and the x87 control word (8 bytes), r15, r14, r13, r12,
 * rbx, rbp, the address to go on at. The switch ends in pop and jmp, not in ret: the processor's return predictor
 * would be wrong each time. No CET property note: return addresses are jumped to here.
 */
    .text

    .globl rp_switch
    .hidden rp_switch
    .type rp_switch, @function
    .p2align 4
rp_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    ldmxcsr (%rsi)
    fldcw 4(%rsi)
    leaq 8(%rsi), %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    jmpq *%rcx
    .cfi_endproc
    .size rp_switch, .-rp_switch

    /* The first address of every new stack: rbx is the function, r12 its argument. Backtraces end here. */
    .type rp_switch_entry, @function
    .p2align 4
rp_switch_entry:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    movq %r12, %rdi
    callq *%rbx
    ud2
    .cfi_endproc
    .size rp_switch_entry, .-rp_switch_entry

    .globl rp_switch_prepare
    .hidden rp_switch_prepare
    .type rp_switch_prepare, @function
    .p2align 4
rp_switch_prepare:
    .cfi_startproc
    endbr64
    leaq -64(%rdi), %rax
    xorl %ecx, %ecx
    stmxcsr (%rax)
    fnstcw 4(%rax)
    movq %rcx, 8(%rax)
    movq %rcx, 16(%rax)
    movq %rcx, 24(%rax)
    movq %rdx, 32(%rax)
    movq %rsi, 40(%rax)
    movq %rcx, 48(%rax)
    leaq rp_switch_entry(%rip), %rcx
    movq %rcx, 56(%rax)
    retq
    .cfi_endproc
    .size rp_switch_prepare, .-rp_switch_prepare

    .section .note.GNU-stack, "", @progbits
