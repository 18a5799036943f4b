/* Blocks of coroutines: how a kernel's threads run on the host. Between two barriers they run in an order that is another one in
 * every launch, so that a barrier that is missing shows in the numbers. WIRESWEEP_EMULATED_ORDER=0: in their own order. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#include "cuda_runtime.h"

__thread dim3 threadIdx, blockIdx, blockDim, gridDim;

/* Stacks lie at distances that are no power of two, or all of them would share a few lines of the cache. */
enum { MOST_THREADS = 1024, WARP = 32, STACK_BYTES = (1 << 16) + 13 * 64, SHUFFLE_BYTES = 8 };

/* The address sanitizer is told of every change of stacks. */
struct stack {
    const void *begin;
    size_t bytes;
};
static void leave_for(const stack &next, void **frames)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(frames, next.begin, next.bytes);
#else
    (void)next, (void)frames;
#endif
}
static void arrive(void *frames, stack *from)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(frames, &from->begin, &from->bytes);
#else
    (void)frames, (void)from;
#endif
}
enum wait { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct thread {
    dim3 index;
    wait state;
    unsigned stack;    /* that it runs on */
    unsigned shuffles; /* done in this block: two buffers take turns */
    char given[2][SHUFFLE_BYTES];
};

/* A stack runs threads one after the other until one of them waits: kernels without barriers need a single one. */
struct runner {
    ucontext_t start; /* used once; afterwards it lives on from block to block */
    void *here[5];
    bool begun;
};

struct machine {
    thread threads[MOST_THREADS];
    runner runners[MOST_THREADS];
    void *scheduler[5]; /* of the built-in jumps, which cost a tenth of the library's */
    stack scheduler_stack;
    char *stacks;
    unsigned current, count;
    unsigned begun; /* threads of the block that have run, of `order` */
    unsigned turn;  /* of `order`: the next one that may go on */
    unsigned on;    /* the stack that runs */
    unsigned order[MOST_THREADS];
    uint64_t launches;
    void (*body)(void *context);
    void *context;
};
static __thread machine *m;

[[noreturn]] static void give_up(const char *what)
{
    fprintf(stderr, "emulated device: %s, block (%u, %u, %u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

/* A function of its own: the built-in jump may not stand in one that sets a target. */
[[noreturn, gnu::noinline]] static void jump(void **to)
{
    __builtin_longjmp(to, 1);
}

static void take_up(unsigned i)
{
    m->current = i;
    threadIdx = m->threads[i].index;
}

static stack stack_of(unsigned number)
{
    return {m->stacks + (size_t)number * STACK_BYTES, STACK_BYTES};
}

/* The next thread that need not wait any longer, on its stack; after the last one the scheduler. */
[[noreturn]] static void go_on(void **frames)
{
    while (m->turn < m->count) {
        const unsigned next = m->order[m->turn++];
        if (m->threads[next].state != READY)
            continue;
        take_up(next);
        m->on = m->threads[next].stack;
        leave_for(stack_of(m->on), frames);
        jump(m->runners[m->on].here);
    }
    leave_for(m->scheduler_stack, frames);
    jump(m->scheduler);
}

/* Returns when this stack is taken up again. Callers must not think that they know which registers it leaves alone: others run
 * meanwhile. */
[[gnu::noipa]] static void leave()
{
    void *volatile frames = nullptr;
    if (__builtin_setjmp(m->runners[m->on].here) == 0)
        go_on((void **)&frames);
    stack from;
    arrive(frames, &from);
}

static void pause_as(wait state)
{
    m->threads[m->current].state = state;
    leave();
}

static void runner_main()
{
    arrive(nullptr, &m->scheduler_stack);
    for (;;) {
        while (m->begun < m->count) {
            take_up(m->order[m->begun++]);
            m->threads[m->current].stack = m->on;
            m->body(m->context);
            m->threads[m->current].state = DONE;
        }
        leave();
    }
}

/* Until nobody goes on. */
[[gnu::noipa]] static void run_on(unsigned number)
{
    runner *next = &m->runners[number];
    m->on = number;
    void *volatile frames = nullptr;
    if (__builtin_setjmp(m->scheduler) != 0) {
        stack from;
        arrive(frames, &from);
        return;
    }
    leave_for(stack_of(number), (void **)&frames);
    if (next->begun)
        jump(next->here);
    next->begun = true;
    setcontext(&next->start);
}

/* Threads of [begin, end) that all wait at the same thing go on. */
static bool release(unsigned begin, unsigned end, wait at)
{
    bool any = false;
    for (unsigned i = begin; i < end; i++) {
        if (m->threads[i].state != at && m->threads[i].state != DONE)
            return false;
        any = any || m->threads[i].state == at;
    }
    for (unsigned i = begin; any && i < end; i++)
        if (m->threads[i].state == at)
            m->threads[i].state = READY;
    return any;
}

static void run_block()
{
    for (unsigned i = 0; i < m->count; i++) {
        m->threads[i].state = READY;
        m->threads[i].shuffles = 0;
    }
    m->begun = 0;
    m->turn = m->count; /* none has begun that could go on */
    for (unsigned number = 0; m->begun < m->count; number++)
        run_on(number);
    for (;;) {
        bool going = release(0, m->count, AT_BARRIER);
        for (unsigned first = 0; first < m->count; first += WARP)
            going = release(first, first + WARP < m->count ? first + WARP : m->count, AT_SHUFFLE) || going;
        if (!going)
            break;
        m->turn = 0;
        while (m->threads[m->order[m->turn]].state != READY)
            m->turn++;
        take_up(m->order[m->turn++]);
        run_on(m->threads[m->current].stack);
    }
    for (unsigned i = 0; i < m->count; i++)
        if (m->threads[i].state != DONE)
            give_up("a barrier or shuffle that not all threads reach");
}

static void choose_order()
{
    static const char *const given = getenv("WIRESWEEP_EMULATED_ORDER");
    uint64_t random = ++m->launches;
    for (unsigned i = 0; i < m->count; i++) {
        m->order[i] = i;
        if (given != nullptr && strcmp(given, "0") == 0)
            continue;
        random = random * 6364136223846793005u + 1442695040888963407u;
        const unsigned other = (unsigned)((random >> 33) % (i + 1));
        m->order[i] = m->order[other];
        m->order[other] = i;
    }
}

static void make_machine()
{
    m = new machine();
    m->stacks = (char *)malloc((size_t)MOST_THREADS * STACK_BYTES);
    for (unsigned i = 0; i < MOST_THREADS; i++) {
        ucontext_t *start = &m->runners[i].start;
        getcontext(start);
        start->uc_stack.ss_sp = m->stacks + (size_t)i * STACK_BYTES;
        start->uc_stack.ss_size = STACK_BYTES;
        start->uc_link = nullptr;
        makecontext(start, runner_main, 0);
    }
}

void ws_emulate_launch(dim3 blocks, dim3 threads, void (*body)(void *context), void *context)
{
    if (m == nullptr)
        make_machine();
    m->count = threads.x * threads.y * threads.z;
    if (m->count == 0 || m->count > MOST_THREADS || blocks.x == 0 || blocks.y == 0 || blocks.y > 65535)
        give_up("a launch that no device takes");
    choose_order();
    m->body = body;
    m->context = context;
    for (unsigned i = 0; i < m->count; i++)
        m->threads[i].index = dim3(i % threads.x, i / threads.x % threads.y, i / threads.x / threads.y);
    blockDim = threads;
    gridDim = blocks;
    for (unsigned z = 0; z < blocks.z; z++)
        for (unsigned y = 0; y < blocks.y; y++)
            for (unsigned x = 0; x < blocks.x; x++) {
                blockIdx = dim3(x, y, z);
                run_block();
            }
}

void __syncthreads()
{
    pause_as(AT_BARRIER);
}

unsigned ws_emulate_lane()
{
    return m->current % WARP;
}

void ws_emulate_shuffle(void *value, unsigned bytes, unsigned other_lane)
{
    if (bytes > SHUFFLE_BYTES)
        give_up("a shuffle of more than 8 bytes");
    thread *own = &m->threads[m->current];
    unsigned buffer = own->shuffles++ % 2, other = m->current / WARP * WARP + other_lane;
    memcpy(own->given[buffer], value, bytes);
    pause_as(AT_SHUFFLE);
    if (other >= m->count || m->threads[other].shuffles < own->shuffles)
        give_up("a shuffle with a lane that does not take part");
    memcpy(value, m->threads[other].given[buffer], bytes);
}
