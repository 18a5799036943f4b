/* Parcels: what ranks put together for each other. There are two sides: one is filled while the other is read or on its way.
 *
 * Ranks of one machine lay their parcels into a file without a name (memfd_create(2)) that the others map: sending is to say how many
 * bytes there are. The file has a room of fixed size for each parcel; pages that are never written take no memory. What outgrows
 * its room, and what goes to another machine, is sent in messages.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cluster/exchange.h"

/* What a rank tells another of its parcel for it. */
typedef struct parcel_word {
    uint64_t count;
    uint64_t travels; /* as messages */
    uint64_t place;   /* in the file of the rank that tells it, where it does not */
} parcel_word;

/* What goes to a rank. */
typedef struct sent_parcel {
    uint8_t *bytes;
    size_t count;
    bool is_lent;
} sent_parcel;

typedef struct ws_parcels_way {
    const ws_comm *comm;
    ws_parcel *sides[2]; /* [2][size] */
    int side;            /* being filled */
    size_t most;
    uint8_t **files;     /* [size] of the ranks that this one shares memory with, itself among them; NULL: none */
    sent_parcel *sent;   /* [size] */
    ws_parcel *received; /* [size] that came in messages */
    parcel_word *words;  /* [2 * size] told, and heard */
    ws_exchange exchange;
} parcels_way;

static size_t file_bytes(const parcels_way *way)
{
    return 2 * (size_t)way->comm->size * way->most;
}

/* In the file of the rank that fills it. */
static size_t room_of(const parcels_way *way, int side, int to)
{
    return ((size_t)side * (size_t)way->comm->size + (size_t)to) * way->most;
}

/* ---------------------------------------------------------------- memory that ranks share */
static uint8_t *map_file(const parcels_way *way, int descriptor, int protection)
{
    void *memory = descriptor < 0 ? MAP_FAILED : mmap(NULL, file_bytes(way), protection, MAP_SHARED, descriptor, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void unmap_files(const parcels_way *way)
{
    for (int r = 0; way->files != NULL && r < way->comm->size; r++) {
        if (way->files[r] != NULL)
            munmap(way->files[r], file_bytes(way));
        way->files[r] = NULL;
    }
}

/* A rank's file, and the first of the ranks on its machine. */
typedef struct shared_word {
    ws_shared_file file;
    int64_t machine;
} shared_word;

/* Whether this rank sees all files of its machine. */
static bool map_files(const parcels_way *way, const shared_word *words)
{
    const int own = way->comm->rank;
    bool all = way->files[own] != NULL;
    for (int r = 0; all && r < way->comm->size; r++) {
        if (r == own || words[r].machine != words[own].machine)
            continue;
        const int descriptor = ws_shared_file_open(&words[r].file, O_RDONLY);
        way->files[r] = map_file(way, descriptor, PROT_READ);
        all = way->files[r] != NULL;
        if (descriptor >= 0)
            close(descriptor);
    }
    return all;
}

/* words: [size]. way->files stay NULL on a machine where one of the ranks cannot see another's. */
static ws_err share_machine_all(const parcels_way *way, const ws_comm *machine, shared_word *words)
{
    int own = memfd_create("wiresweep-parcels", MFD_CLOEXEC);
    bool missing = true;
    if (own >= 0 && ftruncate(own, (off_t)file_bytes(way)) == 0)
        way->files[way->comm->rank] = map_file(way, own, PROT_READ | PROT_WRITE);
    shared_word mine = {ws_shared_file_of(own), way->comm->rank};
    ws_err error = ws_broadcast_all(machine, &mine.machine, sizeof mine.machine, 0);
    error = ws_agree_all(way->comm, error);
    if (error == WS_OK)
        error = ws_gather_equal_all(way->comm, &mine, sizeof mine, words);
    if (error == WS_OK)
        error = ws_any_all(machine, !map_files(way, words), &missing);
    if (own >= 0)
        close(own); /* the others have opened it, or never will */
    if (error != WS_OK || missing)
        unmap_files(way);
    return error;
}

static ws_err share_all(const parcels_way *way)
{
    ws_comm machine;
    shared_word *words = NULL;
    if (way->most == 0 || way->comm->size == 1)
        return WS_OK;
    WS_AGREE(way->comm, WS_NEW_ARRAY(words, (size_t)way->comm->size));
    ws_err error = ws_comm_machine_all(way->comm, &machine);
    if (error == WS_OK) {
        error = share_machine_all(way, &machine, words);
        ws_comm_destroy(&machine);
    }
    free(words);
    return error;
}

/* ---------------------------------------------------------------- parcels */
/* Empty, and in its room where it has one. */
static void clear_parcel(const parcels_way *way, ws_parcel *parcel)
{
    parcel->count = 0;
    if (parcel->room == NULL || parcel->bytes == parcel->room)
        return;
    free(parcel->bytes);
    parcel->bytes = parcel->room;
    parcel->capacity = way->most;
}

ws_err ws_parcel_grow(ws_parcel *parcel, size_t more)
{
    if (parcel->room == NULL || parcel->bytes != parcel->room) {
        WS_TRY(WS_GROW(parcel->bytes, parcel->capacity, parcel->count + more));
        return WS_OK;
    }
    uint8_t *bytes = NULL;
    size_t capacity = 0;
    WS_TRY(WS_GROW(bytes, capacity, parcel->count + more));
    memcpy(bytes, parcel->bytes, parcel->count);
    parcel->bytes = bytes;
    parcel->capacity = capacity;
    return WS_OK;
}

static ws_err create_parts(ws_parcels *parcels, const ws_comm *comm, size_t most)
{
    const size_t size = (size_t)comm->size;
    WS_TRY(WS_NEW_ARRAY(parcels->in, size));
    WS_TRY(WS_NEW(parcels->way));
    parcels_way *way = parcels->way;
    way->comm = comm;
    way->most = (most + 4095) / 4096 * 4096;
    for (int side = 0; side < 2; side++)
        WS_TRY(WS_NEW_ARRAY(way->sides[side], size));
    WS_TRY(WS_NEW_ARRAY(way->files, size));
    WS_TRY(WS_NEW_ARRAY(way->sent, size));
    WS_TRY(WS_NEW_ARRAY(way->received, size));
    WS_TRY(WS_NEW_ARRAY(way->words, 2 * size));
    return WS_OK;
}

/* For the ranks of this machine, this one too: it may lend of what it puts for itself. */
static void take_rooms(parcels_way *way)
{
    for (int side = 0; side < 2; side++)
        for (int r = 0; r < way->comm->size; r++) {
            ws_parcel *parcel = &way->sides[side][r];
            if (way->files[r] == NULL)
                continue;
            parcel->room = parcel->bytes = way->files[way->comm->rank] + room_of(way, side, r);
            parcel->capacity = way->most;
        }
}

ws_err ws_parcels_create_all(ws_parcels **out, const ws_comm *comm, size_t most)
{
    ws_parcels *parcels = NULL;
    *out = NULL;
    ws_err error = WS_NEW(parcels);
    if (error == WS_OK)
        error = create_parts(parcels, comm, most);
    error = ws_agree_all(comm, error);
    if (error == WS_OK)
        error = share_all(parcels->way);
    if (error != WS_OK) {
        ws_parcels_destroy(&parcels);
        return ws_error_pass(error, __FILE__, __LINE__, __func__);
    }
    take_rooms(parcels->way);
    parcels->out = parcels->way->sides[0];
    *out = parcels;
    return WS_OK;
}

/* ---------------------------------------------------------------- on their way */
/* What comes, where it is seen or will be received; room for the messages. */
static ws_err make_room(ws_parcels *parcels)
{
    parcels_way *way = parcels->way;
    const int own = way->comm->rank;
    size_t messages = 0;
    for (int r = 0; r < way->comm->size; r++) {
        const parcel_word *told = &way->words[r], *heard = &way->words[way->comm->size + r];
        ws_parcel *received = &way->received[r];
        parcels->in[r].count = heard->count;
        if (r == own) {
            parcels->in[r].bytes = way->sent[r].bytes;
            continue;
        }
        messages += told->travels ? ws_exchange_messages(told->count) : 0;
        if (!heard->travels) {
            parcels->in[r].bytes = way->files[r] + heard->place;
            continue;
        }
        messages += ws_exchange_messages(heard->count);
        WS_TRY(WS_GROW(received->bytes, received->capacity, heard->count + 1));
        parcels->in[r].bytes = received->bytes;
    }
    return ws_exchange_reserve(&way->exchange, messages);
}

/* Begins with the neighbour, so that not all ranks send to one at first. */
static ws_err post_all(ws_parcels *parcels, bool sends)
{
    parcels_way *way = parcels->way;
    const ws_comm *comm = way->comm;
    for (int step = 1; step < comm->size; step++) {
        const int r = (comm->rank + step) % comm->size;
        const parcel_word *word = &way->words[sends ? r : comm->size + r];
        void *bytes = sends ? way->sent[r].bytes : way->received[r].bytes;
        if (word->travels)
            WS_TRY(ws_exchange_post(&way->exchange, comm, bytes, word->count, r, sends));
    }
    return WS_OK;
}

void ws_parcels_lend(ws_parcels *parcels, int to, size_t at, size_t count)
{
    parcels->way->sent[to] = (sent_parcel){parcels->out[parcels->way->comm->rank].bytes + at, count, true};
}

/* What this rank tells the others. */
static void take_sent(const ws_parcels *parcels)
{
    parcels_way *way = parcels->way;
    const uint8_t *file = way->files[way->comm->rank];
    for (int r = 0; r < way->comm->size; r++) {
        sent_parcel *sent = &way->sent[r];
        if (!sent->is_lent)
            *sent = (sent_parcel){parcels->out[r].bytes, parcels->out[r].count, false};
        sent->is_lent = false;
        const bool is_seen = way->files[r] != NULL && sent->bytes >= file && sent->bytes < file + file_bytes(way);
        way->words[r] = (parcel_word){sent->count, !is_seen, is_seen ? (uint64_t)(sent->bytes - file) : 0};
    }
}

ws_err ws_parcels_send_all(ws_parcels *parcels)
{
    parcels_way *way = parcels->way;
    const ws_comm *comm = way->comm;
    parcel_word *heard = way->words + comm->size;
    take_sent(parcels);
    atomic_thread_fence(memory_order_release);
    if (comm->size > 1)
        WS_MPI(MPI_Alltoall(way->words, sizeof *way->words, MPI_BYTE, heard, sizeof *heard, MPI_BYTE, comm->mpi));
    else
        heard[0] = way->words[0];
    atomic_thread_fence(memory_order_acquire);
    WS_AGREE(comm, make_room(parcels));
    WS_TRY(post_all(parcels, false));
    WS_TRY(post_all(parcels, true));
    way->side = !way->side; /* whose parcels have arrived, and which no rank reads any more: all came here */
    parcels->out = way->sides[way->side];
    for (int r = 0; r < comm->size; r++)
        clear_parcel(way, &parcels->out[r]);
    return WS_OK;
}

void ws_parcels_push(ws_parcels *parcels)
{
    ws_exchange_push(&parcels->way->exchange);
}

ws_err ws_parcels_arrive(ws_parcels *parcels)
{
    return ws_exchange_end(&parcels->way->exchange);
}

static void way_destroy(parcels_way *way)
{
    ws_exchange_close(&way->exchange); /* what others sent would be written to freed memory */
    for (int r = 0; way->received != NULL && r < way->comm->size; r++)
        free(way->received[r].bytes);
    for (int side = 0; side < 2; side++) {
        for (int r = 0; way->sides[side] != NULL && r < way->comm->size; r++)
            if (way->sides[side][r].bytes != way->sides[side][r].room)
                free(way->sides[side][r].bytes);
        free(way->sides[side]);
    }
    unmap_files(way);
    free(way->files);
    free(way->sent);
    free(way->received);
    free(way->words);
    free(way);
}

void ws_parcels_destroy(ws_parcels **parcels_)
{
    ws_parcels *parcels = *parcels_;
    if (parcels == NULL)
        return;
    if (parcels->way != NULL)
        way_destroy(parcels->way);
    free(parcels->in);
    free(parcels);
    *parcels_ = NULL;
}
