/* Inside the emulation: work that a stream does later. */
#ifndef WS_TESTS_EMULATION_STREAMS_H
#define WS_TESTS_EMULATION_STREAMS_H

#include <functional>
#include <memory>
#include "cuda_runtime_api.h"

/* Gives the stream work, or adds it to the graph that the stream captures. stuck: where it becomes false the work can be done. */
void ws_emulate_do(cudaStream_t stream, std::function<void()> work, std::shared_ptr<bool> stuck = nullptr);
bool ws_emulate_captures(cudaStream_t stream);
/* All that was given to all streams. */
void ws_emulate_finish();

#endif
