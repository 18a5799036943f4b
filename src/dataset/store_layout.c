/* store_layout: the column tables of the store schema (dataset.h) and their HDF5 types. */
#include "dataset/store_layout.h"

#define FLOW(name, type, member)                                                                                       \
    {                                                                                                                  \
        "/flows/" name, WS_STORED_##type, offsetof(ws_store_row, member)                                               \
    }
const ws_store_column ws_flow_columns[] = {FLOW("protocol", U8, protocol),
                                           FLOW("first_ns", I64, first_ns),
                                           FLOW("last_ns", I64, last_ns),
                                           FLOW("packets_forward", U64, packets[0]),
                                           FLOW("packets_backward", U64, packets[1]),
                                           FLOW("bytes_forward", U64, bytes[0]),
                                           FLOW("bytes_backward", U64, bytes[1]),
                                           FLOW("payload_forward", U64, payload[0]),
                                           FLOW("payload_backward", U64, payload[1]),
                                           FLOW("end", U8, end),
                                           FLOW("input_id", U32, input_id),
                                           FLOW("first_ordinal", U64, first_ordinal),
                                           FLOW("session_id", U32, session_id),
                                           FLOW("host_id", U32, host_id),
                                           FLOW("key_hash", U64, key_hash),
                                           FLOW("input_hash", U64, input_hash),
                                           FLOW("row_hash", U64, row_hash),
                                           FLOW("packet_start", U64, packet_start),
                                           {NULL, WS_STORED_U8, 0}};
const ws_store_column ws_endpoint_columns[] = {
    FLOW("source", TEXT, source), FLOW("destination", TEXT, destination), {NULL, WS_STORED_U8, 0}};
#undef FLOW

#define PACKET(name, type, member)                                                                                     \
    {                                                                                                                  \
        "/packets/" name, WS_STORED_##type, offsetof(ws_flow_packet, member)                                           \
    }
const ws_store_column ws_packet_columns[] = {PACKET("offset_ns", I64, offset_ns),
                                             PACKET("wire_length", U32, wire_length),
                                             PACKET("ip_length", U32, ip_length),
                                             PACKET("payload_length", U32, payload_length),
                                             PACKET("header_length", U16, header_length),
                                             PACKET("window", U16, window),
                                             PACKET("flags", U8, tcp_flags),
                                             PACKET("direction", I8, direction),
                                             {NULL, WS_STORED_U8, 0}};
#undef PACKET

void ws_byte_columns(const ws_byte_view *view, ws_byte_column out[WS_BYTE_COLUMNS])
{
    out[0] = (ws_byte_column){"/bytes/lengths", WS_STORED_U32, 2, 0};
    out[1] = (ws_byte_column){"/bytes/kept", WS_STORED_U16, 2, view->packets * 2 * sizeof(uint32_t)};
    out[2] = (ws_byte_column){"/bytes/values", WS_STORED_U8, (size_t)view->header + view->payload,
                              out[1].offset + view->packets * 2 * sizeof(uint16_t)};
}

size_t ws_byte_record_size(const ws_byte_view *view)
{
    ws_byte_column columns[WS_BYTE_COLUMNS];
    ws_byte_columns(view, columns);
    return columns[2].offset + view->packets * columns[2].width;
}

void ws_byte_record_fill(const ws_byte_view *view, const uint8_t *slots, uint64_t slot_bytes,
                         const ws_flow_packet *packets, uint8_t *record)
{
    const size_t slot_size = ws_byte_slot_size(view), count = slot_bytes / slot_size;
    ws_byte_column columns[WS_BYTE_COLUMNS];
    ws_byte_columns(view, columns);
    memset(record, 0, ws_byte_record_size(view));
    for (size_t k = 0; k < count; k++, slots += slot_size) {
        const uint32_t lengths[2] = {packets[k].header_length, packets[k].payload_length};
        memcpy(record + k * sizeof lengths, lengths, sizeof lengths);
        memcpy(record + columns[1].offset + k * WS_BYTE_SLOT_HEAD, slots, WS_BYTE_SLOT_HEAD);
        memcpy(record + columns[2].offset + k * columns[2].width, slots + WS_BYTE_SLOT_HEAD, columns[2].width);
    }
}

uint64_t ws_chunk_rows(size_t row_bytes)
{
    enum { CHUNK_BYTES = 2 << 20 };
    const uint64_t rows = CHUNK_BYTES / row_bytes;
    return rows > WS_CHUNK_FLOWS ? WS_CHUNK_FLOWS : rows == 0 ? 1 : rows;
}

size_t ws_stored_size(ws_stored_type type)
{
    static const size_t sizes[WS_STORED_COUNT] = {1, 1, 2, 4, 4, 8, 8, 4, WS_ENDPOINT_TEXT};
    return sizes[type];
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, WS_ENDPOINT_TEXT) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

hid_t ws_stored_file_type(ws_stored_type type)
{
    /* The constants are calls into the library, so no static table can hold them. */
    const hid_t types[WS_STORED_TEXT] = {H5T_STD_U8LE,  H5T_STD_I8LE,  H5T_STD_U16LE, H5T_STD_U32LE,
                                         H5T_STD_I32LE, H5T_STD_U64LE, H5T_STD_I64LE, H5T_IEEE_F32LE};
    return type == WS_STORED_TEXT ? text_type() : types[type];
}

hid_t ws_stored_memory_type(ws_stored_type type)
{
    const hid_t types[WS_STORED_TEXT] = {H5T_NATIVE_UINT8, H5T_NATIVE_INT8,   H5T_NATIVE_UINT16, H5T_NATIVE_UINT32,
                                         H5T_NATIVE_INT32, H5T_NATIVE_UINT64, H5T_NATIVE_INT64,  H5T_NATIVE_FLOAT};
    return type == WS_STORED_TEXT ? text_type() : types[type];
}

void ws_stored_release(ws_stored_type type, hid_t handle)
{
    if (type == WS_STORED_TEXT && handle >= 0)
        H5Tclose(handle);
}
