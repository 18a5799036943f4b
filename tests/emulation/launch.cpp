/* Blocks of coroutines: how a kernel's threads run on the host. Between two barriers they run in an order that is another one in
 * every launch, so that a barrier that is missing shows in the numbers. WIRESWEEP_EMULATED_ORDER=0: in their own order. */
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#include "cuda_runtime.h"

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

enum { MOST_THREADS = 1024, WARP = 32, STACK_BYTES = 1 << 16, SHUFFLE_BYTES = 8 };

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

struct fiber {
    ucontext_t start; /* used once; afterwards the fiber lives on from block to block */
    jmp_buf here;
    bool begun;
    wait state;
    unsigned shuffles; /* done in this block: two buffers take turns */
    char given[2][SHUFFLE_BYTES];
};

struct machine {
    fiber fibers[MOST_THREADS];
    jmp_buf scheduler;
    stack scheduler_stack;
    char *stacks;
    unsigned current, count;
    unsigned order[MOST_THREADS];
    uint64_t launches;
    void (*body)(void *context);
    void *context;
};
static thread_local machine *m;

[[noreturn]] static void give_up(const char *what)
{
    fprintf(stderr, "emulated device: %s, block (%u, %u, %u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

/* Back to the scheduler; returns when the scheduler takes this fiber up again. */
static void pause_as(wait state)
{
    fiber *own = &m->fibers[m->current];
    own->state = state;
    void *volatile frames = nullptr;
    if (_setjmp(own->here) == 0) {
        leave_for(m->scheduler_stack, (void **)&frames);
        _longjmp(m->scheduler, 1);
    }
    arrive(frames, &m->scheduler_stack);
}

static void fiber_main()
{
    arrive(nullptr, &m->scheduler_stack);
    for (;;) {
        m->body(m->context);
        pause_as(DONE);
    }
}

static void resume(unsigned i)
{
    fiber *next = &m->fibers[i];
    m->current = i;
    threadIdx = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
    void *volatile frames = nullptr;
    if (_setjmp(m->scheduler) != 0) {
        stack from;
        arrive(frames, &from);
        return;
    }
    leave_for({m->stacks + (size_t)i * STACK_BYTES, STACK_BYTES}, (void **)&frames);
    if (next->begun)
        _longjmp(next->here, 1);
    next->begun = true;
    setcontext(&next->start);
}

/* Threads of [begin, end) that all wait at the same thing go on. */
static bool release(unsigned begin, unsigned end, wait at)
{
    bool any = false;
    for (unsigned i = begin; i < end; i++) {
        if (m->fibers[i].state != at && m->fibers[i].state != DONE)
            return false;
        any = any || m->fibers[i].state == at;
    }
    for (unsigned i = begin; any && i < end; i++)
        if (m->fibers[i].state == at)
            m->fibers[i].state = READY;
    return any;
}

static void run_block()
{
    for (unsigned i = 0; i < m->count; i++) {
        m->fibers[i].state = READY;
        m->fibers[i].shuffles = 0;
    }
    for (bool going = true; going;) {
        for (unsigned i = 0; i < m->count; i++)
            if (m->fibers[m->order[i]].state == READY)
                resume(m->order[i]);
        going = release(0, m->count, AT_BARRIER);
        for (unsigned first = 0; first < m->count; first += WARP)
            going = release(first, first + WARP < m->count ? first + WARP : m->count, AT_SHUFFLE) || going;
    }
    for (unsigned i = 0; i < m->count; i++)
        if (m->fibers[i].state != DONE)
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
        getcontext(&m->fibers[i].start);
        m->fibers[i].start.uc_stack.ss_sp = m->stacks + (size_t)i * STACK_BYTES;
        m->fibers[i].start.uc_stack.ss_size = STACK_BYTES;
        m->fibers[i].start.uc_link = nullptr;
        makecontext(&m->fibers[i].start, fiber_main, 0);
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
    fiber *own = &m->fibers[m->current];
    unsigned buffer = own->shuffles++ % 2, other = m->current / WARP * WARP + other_lane;
    memcpy(own->given[buffer], value, bytes);
    pause_as(AT_SHUFFLE);
    if (other >= m->count || m->fibers[other].shuffles < own->shuffles)
        give_up("a shuffle with a lane that does not take part");
    memcpy(value, m->fibers[other].given[buffer], bytes);
}
