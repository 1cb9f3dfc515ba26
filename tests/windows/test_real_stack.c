/*
 * test_real_stack.c - what Windows itself does on the stacks of coroutines: it grows them, and reports their overflows.
 */
#include <stdio.h>
#include <string.h>

#include "fiber/switch.h"
#include "harness/platform.h"
#include "harness/overflow_child.h"
#include "harness/tasks.h"
#include "ringport.h"

/* How much of a stack is in which state, from where this is called down to what is reserved for the next one. */
typedef struct states {
    size_t usable, guard, reserved;
} states;

static states look_below(void)
{
    char *end = __builtin_frame_address(0);
    MEMORY_BASIC_INFORMATION area;
    states found = {0};

    while (found.reserved == 0 && VirtualQuery(end - 1, &area, sizeof area)) {
        size_t size = (size_t)(end - (char *)area.BaseAddress);

        if (area.State == MEM_RESERVE)
            found.reserved = size;
        else if (area.Protect & PAGE_GUARD)
            found.guard += size;
        else
            found.usable += size;
        end = area.BaseAddress;
    }
    return found;
}

/* Frames of 1 KiB, down to the depth that is asked for. */
static int descend(size_t depth)
{
    volatile char frame[1024];

    frame[0] = 1;
    return depth > sizeof frame ? descend(depth - sizeof frame) + frame[0] : frame[0];
}

/* By steps, so that the guard is moved many times, and lies wherever it comes to lie. */
static int goes_down(rp_co *co, void *arg)
{
    size_t size = *(size_t *)arg, most = size - size / 16 - 12 * 1024; /* what frames have besides their array */
    states before = look_below(), after;

    for (size_t depth = 1024; depth < most; depth += 3000)
        CHECK_INT(descend(depth), >, 0);
    after = look_below();
    printf("# %zu KiB: usable %zu, guard %zu KiB; later %zu, %zu\n", size / 1024, before.usable / 1024,
           before.guard / 1024, after.usable / 1024, after.guard / 1024);
    CHECK_INT(after.usable, >, before.usable);
    CHECK_INT(after.guard, >=, 4096);
    return 0;
}

CO_TEST(a_stack_grows_until_it_has_its_size)
{
    static const size_t sizes[] = {64 * 1024, 128 * 1024, 1024 * 1024};
    rp_task *task;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rp_task_options options = {.stack_size = sizes[i]};

        CHECK_INT(rp_create_task_with(&task, goes_down, &sizes[i], &options), ==, 0);
        CHECK_INT(rp_join(co, task), ==, 0);
    }
}

/* What a crash reporter does: it needs room, and says what it was told. */
static LONG CALLBACK report_crash(EXCEPTION_POINTERS *exception)
{
    static const char text[] = "reporter: an overflow\n";
    DWORD code = exception->ExceptionRecord->ExceptionCode, written;
    volatile char frame[6 * 1024];

    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = 1;
    if (code == (DWORD)EXCEPTION_STACK_OVERFLOW)
        WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, sizeof text - 1, &written, NULL);
    TerminateProcess(GetCurrentProcess(), code);
    return EXCEPTION_EXECUTE_HANDLER;
}

static void overflow_under_a_reporter(void)
{
    SetUnhandledExceptionFilter(report_crash);
    rp_run(overflows, "greedy");
}

TEST(a_crash_reporter_is_told_of_an_overflow_and_has_room)
{
    test_end end = run_child(overflow_under_a_reporter);

    printf("# ended by %s, %d\n%s", end.name ? end.name : "exit()", end.status, output);
    CHECK_STR(end.name, "EXCEPTION_STACK_OVERFLOW");
    CHECK_STR(output, "ringport: stack overflow in task 'greedy'\nreporter: an overflow\n");
}

static LONG CALLBACK last_words(EXCEPTION_POINTERS *exception)
{
    (void)exception;
    return EXCEPTION_CONTINUE_SEARCH;
}

/* Nobody is left who wants it: the system ends the process by itself, and may write a dump. */
static void overflow_unhandled(void)
{
    SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    SetUnhandledExceptionFilter(last_words);
    rp_run(overflows, "greedy");
}

TEST(the_system_ends_a_process_whose_task_overflows)
{
    test_end end;

    test_need_real_windows("it starts a debugger");
    end = run_child(overflow_unhandled);
    printf("# ended by %s\n", end.name ? end.name : "exit()");
    CHECK_STR(end.name, "EXCEPTION_STACK_OVERFLOW");
    check_output("ringport: stack overflow in task 'greedy'\n");
}

/*
 * The processor stops at each instruction while a test switches. From those of the switch the stack is walked, as a
 * debugger or a profiler walks it: it must lead to one of the two functions that switch.
 */
enum { TRAP = 0x100 };

static struct {
    void *sp, *caller;
    int steps;
} walked;
static volatile bool stepping;
static int instructions, lost;

__attribute__((noinline)) static void walked_yield(void)
{
    rp_switch(&walked.sp, walked.caller);
    walked.steps++;
}

__attribute__((noinline)) static void walked_run(void)
{
    rp_switch(&walked.caller, walked.sp);
    walked.steps++;
}

static const RUNTIME_FUNCTION *function_at(uintptr_t address)
{
    DWORD64 base;

    return RtlLookupFunctionEntry(address, &base, NULL);
}

/* One frame up. */
static void unwind(CONTEXT *context)
{
    DWORD64 base, frame;
    RUNTIME_FUNCTION *function = RtlLookupFunctionEntry(context->Rip, &base, NULL);
    void *data;

    if (function) {
        RtlVirtualUnwind(UNW_FLAG_NHANDLER, base, context->Rip, function, context, &data, &frame, NULL);
    } else {
        context->Rip = *(DWORD64 *)(uintptr_t)context->Rsp;
        context->Rsp += 8;
    }
}

static LONG CALLBACK on_step(EXCEPTION_POINTERS *exception)
{
    CONTEXT *context = exception->ContextRecord, walk = *context;

    if (exception->ExceptionRecord->ExceptionCode != (DWORD)EXCEPTION_SINGLE_STEP)
        return EXCEPTION_CONTINUE_SEARCH;
    if (context->Rip >= (uintptr_t)rp_switch && context->Rip < (uintptr_t)rp_switch_prepare) {
        const RUNTIME_FUNCTION *caller;

        unwind(&walk);
        caller = function_at(walk.Rip);
        instructions++;
        if (caller != function_at((uintptr_t)walked_run) && caller != function_at((uintptr_t)walked_yield))
            printf("lost at %d: %02x\n", (int)(context->Rip - (uintptr_t)rp_switch),
                   *(unsigned char *)context->Rip);
        lost += caller != function_at((uintptr_t)walked_run) && caller != function_at((uintptr_t)walked_yield);
    }
    if (stepping)
        context->EFlags |= TRAP;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static void walked_entry(void *arg)
{
    for (;;)
        walked_yield();
}

TEST(the_stack_can_be_walked_from_each_instruction_of_the_switch)
{
    _Alignas(16) static char stack[64 * 1024];
    void *handler = AddVectoredExceptionHandler(1, on_step);

    test_need_real_windows("it takes no jump for the end of a function");
    walked.sp = rp_switch_prepare(stack + sizeof stack, walked_entry, NULL);
    walked_run();
    stepping = true;
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "cc", "memory");
    walked_run();
    stepping = false;
    walked_run();
    RemoveVectoredExceptionHandler(handler);
    printf("# %d instructions, lost at %d\n", instructions, lost);
    CHECK_INT(walked.steps, ==, 5);
    CHECK_INT(instructions, >, 2 * 60);
    CHECK_INT(lost, ==, 2); /* the last one of each, which has left its frame behind */
}
