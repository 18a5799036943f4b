/* Streams, events and graphs. A stream does nothing until somebody waits for it, as late as CUDA may: an order that no event
 * asks for is the wrong one here, and host memory that is read or changed too early has the wrong content. */
#include "streams.h"
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <vector>

struct entry {
    std::function<void()> work;
    std::shared_ptr<struct state> after; /* not before this stream has done so much */
    uint64_t at;
    std::shared_ptr<bool> stuck;
};
struct state {
    std::deque<entry> queue;
    uint64_t given = 0, done = 0;
};
struct CUgraph_st {
    std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
    std::vector<std::function<void()>> work;
};
struct CUstream_st {
    std::shared_ptr<state> own = std::make_shared<state>();
    CUgraph_st *recording = nullptr;
};
struct CUevent_st {
    std::shared_ptr<state> stream; /* none: never recorded */
    uint64_t at = 0;
};

static std::recursive_mutex lock;
static std::vector<cudaStream_t> streams;

static void give(cudaStream_t stream, entry given)
{
    stream->own->queue.push_back(std::move(given));
    stream->own->given++;
}

/* False: something is stuck. */
static bool do_until(const std::shared_ptr<state> &stream, uint64_t until)
{
    while (stream->done < until) {
        entry &next = stream->queue.front();
        if (next.after && !do_until(next.after, next.at))
            return false;
        if (next.stuck && *next.stuck)
            return false;
        std::function<void()> work = std::move(next.work);
        stream->queue.pop_front();
        if (work)
            work();
        stream->done++;
    }
    return true;
}

static void wait_for(const std::shared_ptr<state> &stream, uint64_t until)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    if (!do_until(stream, until)) {
        fprintf(stderr, "emulated device: somebody waits for ever\n");
        abort();
    }
}

void ws_emulate_do(cudaStream_t stream, std::function<void()> work, std::shared_ptr<bool> stuck)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    if (stream->recording != nullptr)
        stream->recording->work.push_back(std::move(work));
    else
        give(stream, {std::move(work), nullptr, 0, std::move(stuck)});
}

bool ws_emulate_captures(cudaStream_t stream)
{
    return stream->recording != nullptr;
}

void ws_emulate_finish()
{
    std::lock_guard<std::recursive_mutex> held(lock);
    for (cudaStream_t stream : streams)
        wait_for(stream->own, stream->own->given);
}

extern "C" {

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    *stream = new CUstream_st;
    streams.push_back(*stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    wait_for(stream->own, stream->own->given);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    do_until(stream->own, stream->own->given);
    std::vector<cudaStream_t> others;
    for (cudaStream_t other : streams)
        if (other != stream)
            others.push_back(other);
    streams = others;
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    if (stream->recording != nullptr)
        return cudaErrorStreamCaptureUnsupported;
    if (event->stream)
        give(stream, {nullptr, event->stream, event->at, nullptr});
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (stream->recording != nullptr)
        return cudaErrorStreamCaptureUnsupported;
    stream->recording = new CUgraph_st;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = stream->recording;
    stream->recording = nullptr;
    return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
    *out = new CUgraphExec_st{graph->work};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream)
{
    if (stream->recording != nullptr)
        return cudaErrorStreamCaptureUnsupported;
    ws_emulate_do(stream, [graph] {
        for (const std::function<void()> &work : graph->work)
            work();
    });
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph)
{
    ws_emulate_finish();
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    *event = new CUevent_st;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    if (stream->recording != nullptr)
        return cudaErrorStreamCaptureUnsupported;
    event->stream = stream->own;
    event->at = stream->own->given;
    return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    std::lock_guard<std::recursive_mutex> held(lock);
    return !event->stream || do_until(event->stream, event->at) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (event->stream)
        wait_for(event->stream, event->at);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return cudaSuccess;
}
}
