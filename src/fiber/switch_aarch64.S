/*
 * switch_aarch64.S - the context switch for the procedure call standard of 64-bit Arm.
 *
 * A suspended stack holds, from its stack pointer up: x29 and x30 (the address to go on at), x19 to x28, d8 to d15,
 * fpcr and 8 bytes of padding. `hint #34` is bti c, a no-op where there is none.
 */
    .text

    .globl rp_switch
    .hidden rp_switch
    .type rp_switch, %function
    .p2align 4
rp_switch:
    .cfi_startproc
    hint #34
    stp x29, x30, [sp, #-176]!
    .cfi_adjust_cfa_offset 176
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, #16]
    .cfi_rel_offset x19, 16
    .cfi_rel_offset x20, 24
    stp x21, x22, [sp, #32]
    .cfi_rel_offset x21, 32
    .cfi_rel_offset x22, 40
    stp x23, x24, [sp, #48]
    .cfi_rel_offset x23, 48
    .cfi_rel_offset x24, 56
    stp x25, x26, [sp, #64]
    .cfi_rel_offset x25, 64
    .cfi_rel_offset x26, 72
    stp x27, x28, [sp, #80]
    .cfi_rel_offset x27, 80
    .cfi_rel_offset x28, 88
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mrs x9, fpcr
    str x9, [sp, #160]
    mov x10, sp
    str x10, [x0]
    mov sp, x1
    ldr x9, [sp, #160]
    msr fpcr, x9
    ldp d14, d15, [sp, #144]
    ldp d12, d13, [sp, #128]
    ldp d10, d11, [sp, #112]
    ldp d8, d9, [sp, #96]
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #176
    .cfi_adjust_cfa_offset -176
    .cfi_restore x19
    .cfi_restore x20
    .cfi_restore x21
    .cfi_restore x22
    .cfi_restore x23
    .cfi_restore x24
    .cfi_restore x25
    .cfi_restore x26
    .cfi_restore x27
    .cfi_restore x28
    .cfi_restore x29
    .cfi_restore x30
    ret
    .cfi_endproc
    .size rp_switch, .-rp_switch

    /* The first address of every new stack: x19 is the function, x20 its argument. Backtraces end here. */
    .type rp_switch_entry, %function
    .p2align 4
rp_switch_entry:
    .cfi_startproc
    .cfi_undefined x30
    hint #34
    mov x0, x20
    blr x19
    brk #1
    .cfi_endproc
    .size rp_switch_entry, .-rp_switch_entry

    .globl rp_switch_prepare
    .hidden rp_switch_prepare
    .type rp_switch_prepare, %function
    .p2align 4
rp_switch_prepare:
    .cfi_startproc
    hint #34
    sub x0, x0, #176
    adr x9, rp_switch_entry
    stp xzr, x9, [x0]
    stp x1, x2, [x0, #16]
    stp xzr, xzr, [x0, #32]
    stp xzr, xzr, [x0, #48]
    stp xzr, xzr, [x0, #64]
    stp xzr, xzr, [x0, #80]
    stp xzr, xzr, [x0, #96]
    stp xzr, xzr, [x0, #112]
    stp xzr, xzr, [x0, #128]
    stp xzr, xzr, [x0, #144]
    mrs x9, fpcr
    stp x9, xzr, [x0, #160]
    ret
    .cfi_endproc
    .size rp_switch_prepare, .-rp_switch_prepare

    .section .note.GNU-stack, "", %progbits
