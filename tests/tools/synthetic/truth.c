/* Ground truth of each flow, the naive way: one pass a number, plain doubles, libm's logarithm. */
#include <math.h>
#include "synthetic.h"

static const char feature_names[] =
    "log_dur,log_pkts_f,log_pkts_b,log_bytes_f,log_bytes_b,mean_len_f,std_len_f,mean_len_b,std_len_b,"
    "max_len,log_iat_mean,log_iat_std,log_iat_max,log_iat_mean_f,log_iat_mean_b,log_pps,"
    "byte_asym,log_syn,log_finrst,psh_frac";

void truth_header(FILE *truth, FILE *labels)
{
    if (truth)
        fprintf(
            truth,
            "first_ordinal,protocol,source,source_port,destination,destination_port,first_ns,last_ns,packets_forward,"
            "packets_backward,bytes_forward,bytes_backward,label,family,%s\n",
            feature_names);
    if (labels)
        fprintf(labels, "capture,protocol,source,source_port,destination,destination_port,first_ns,label,family\n");
}

/* Packets of one segment that are in the file: [0] both directions, [1] forward, [2] backward. */
typedef struct segment_view {
    const script_packet *const *packets;
    size_t count;
    int forward; /* direction value of the forward side */
} segment_view;

static bool counts_in(const segment_view *v, size_t k, int which)
{
    return which == 0 || (v->packets[k]->direction == v->forward) == (which == 1);
}

static double number_of(const segment_view *v, int which)
{
    double number = 0;
    for (size_t k = 0; k < v->count; k++)
        number += counts_in(v, k, which);
    return number;
}

static double bytes_of(const segment_view *v, int which)
{
    double bytes = 0;
    for (size_t k = 0; k < v->count; k++)
        bytes += counts_in(v, k, which) ? v->packets[k]->ip_length : 0;
    return bytes;
}

static double flags_of(const segment_view *v, int mask)
{
    double number = 0;
    for (size_t k = 0; k < v->count; k++)
        number += !!(v->packets[k]->flags & mask);
    return number;
}

static double length_deviation(const segment_view *v, int which)
{
    double number = number_of(v, which), sum = 0;
    if (number == 0)
        return 0;
    double mean = bytes_of(v, which) / number;
    for (size_t k = 0; k < v->count; k++)
        if (counts_in(v, k, which))
            sum += (v->packets[k]->ip_length - mean) * (v->packets[k]->ip_length - mean);
    return sqrt(sum / number);
}

/* Gaps between neighbours of one direction, in microseconds: mean, population deviation, largest. */
static void gaps_of(const segment_view *v, int which, double *mean, double *deviation, double *largest)
{
    *mean = *deviation = *largest = 0;
    for (int pass = 0; pass < 2; pass++) {
        double number = 0, sum = 0, squares = 0;
        const script_packet *last = NULL;
        for (size_t k = 0; k < v->count; k++) {
            if (!counts_in(v, k, which))
                continue;
            if (last) {
                double gap = (double)(v->packets[k]->time_ns - last->time_ns) / 1000.0;
                number++;
                sum += gap;
                squares += (gap - *mean) * (gap - *mean);
                *largest = fmax(*largest, gap);
            }
            last = v->packets[k];
        }
        if (number == 0)
            return;
        if (pass == 0)
            *mean = sum / number;
        else
            *deviation = sqrt(squares / number);
    }
}

static void features_of(const segment_view *v, double f[SYNTHETIC_FEATURES])
{
    double n = number_of(v, 0), nf = number_of(v, 1), nb = number_of(v, 2), sf = bytes_of(v, 1), sb = bytes_of(v, 2);
    double duration_us = (double)(v->packets[v->count - 1]->time_ns - v->packets[0]->time_ns) / 1000.0, unused[2];
    double longest = 0, mean, deviation, largest;
    for (size_t k = 0; k < v->count; k++)
        longest = fmax(longest, v->packets[k]->ip_length);
    f[0] = log(1 + duration_us);
    f[1] = log(1 + nf);
    f[2] = log(1 + nb);
    f[3] = log(1 + sf);
    f[4] = log(1 + sb);
    f[5] = nf > 0 ? sf / nf / 1500 : 0;
    f[6] = length_deviation(v, 1) / 1500;
    f[7] = nb > 0 ? sb / nb / 1500 : 0;
    f[8] = length_deviation(v, 2) / 1500;
    f[9] = longest / 1500;
    gaps_of(v, 0, &mean, &deviation, &largest);
    f[10] = log(1 + mean);
    f[11] = log(1 + deviation);
    f[12] = log(1 + largest);
    gaps_of(v, 1, &mean, &unused[0], &unused[1]);
    f[13] = log(1 + mean);
    gaps_of(v, 2, &mean, &unused[0], &unused[1]);
    f[14] = log(1 + mean);
    f[15] = log(1 + n / (duration_us / 1e6 + 0.001));
    f[16] = (sf - sb) / (sf + sb);
    f[17] = log(1 + flags_of(v, 2));
    f[18] = log(1 + flags_of(v, 1) + flags_of(v, 4));
    f[19] = flags_of(v, 8) / n;
}

static void write_segment(const script *s, const segment_view *v, const char *capture, FILE *truth, FILE *labels)
{
    char source[64], destination[64];
    const script_packet *first = v->packets[0], *last = v->packets[v->count - 1];
    const synthetic_class *class = &synthetic_classes[s->class];
    address_text(s, v->forward, source);
    address_text(s, 1 - v->forward, destination);
    if (labels)
        fprintf(labels, "%s,%d,%s,%u,%s,%u,%lld,%s,%s\n", capture, s->protocol, source, s->port[v->forward],
                destination, s->port[1 - v->forward], (long long)first->time_ns, class->name, class->family);
    if (!truth)
        return;
    double features[SYNTHETIC_FEATURES];
    features_of(v, features);
    fprintf(truth, "%llu,%d,%s,%u,%s,%u,%lld,%lld,%.0f,%.0f,%.0f,%.0f,%s,%s", (unsigned long long)first->ordinal,
            s->protocol, source, s->port[v->forward], destination, s->port[1 - v->forward], (long long)first->time_ns,
            (long long)last->time_ns, number_of(v, 1), number_of(v, 2), bytes_of(v, 1), bytes_of(v, 2), class->name,
            class->family);
    for (int k = 0; k < SYNTHETIC_FEATURES; k++)
        fprintf(truth, ",%.12g", features[k]);
    fputc('\n', truth);
}

void truth_script(const script *s, const char *capture, FILE *truth, FILE *labels)
{
    enum { MOST_PACKETS = 8192 }; /* far above any plan */
    const script_packet *packets[MOST_PACKETS];
    for (size_t begin = 0; begin < s->count;) {
        segment_view view = {packets, 0, s->packets[begin].direction};
        size_t k = begin;
        for (; k < s->count && s->packets[k].segment == s->packets[begin].segment; k++)
            if (!s->packets[k].left_out && view.count < MOST_PACKETS)
                packets[view.count++] = &s->packets[k];
        write_segment(s, &view, capture, truth, labels);
        begin = k;
    }
}
