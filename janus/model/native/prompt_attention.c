/* Attention of many new tokens to slots, in tiles: bfloat16, keys and values of equal width. */

#include <omp.h>

#include "attention.h"
#include "square_attention.h"

static void lay_out(const Attention *job, const Head *head, int64_t row, int64_t key_head) {
    const int64_t slot = job->slots[row], length = job->ends[row];
    const uint16_t *k = (const uint16_t *)job->k + slot * job->k_slot + key_head * job->k_head;
    const uint16_t *v = (const uint16_t *)job->v + slot * job->v_slot + key_head * job->v_head;
    for (int64_t i = 0; i < squares(length); i++)
        for (int64_t p = 0; p < head->panels; p++) {
            const int64_t first = i * SIDE, rows = length - first;
            lay_out_keys(k + first * job->k_place + p * SIDE, job->k_place, rows,
                         head->keys + (i * head->panels + p) * SQUARE);
            lay_out_values(v + first * job->v_place + p * SIDE, job->v_place, rows,
                           head->values + (p * head->lines + i) * SQUARE);
        }
}

/* Rows that there are not become zeros. */
static void lay_out_queries(const uint16_t *q, int64_t width, int64_t rows, int64_t panels,
                            uint16_t *to) {
    for (int64_t p = 0; p < panels; p++)
        for (int64_t r = 0; r < SIDE; r++) {
            const __mmask32 filled = r < rows ? -1 : 0;
            const __m512i line = _mm512_maskz_loadu_epi16(filled, q + r * width + p * SIDE);
            _mm512_storeu_si512(to + p * SQUARE + r * SIDE, line);
        }
}

static void attend_from(const Attention *job, const Head *head, int64_t row, int64_t h,
                        uint16_t *queries) {
    const int64_t width = job->heads * job->width;
    const uint16_t *q = (const uint16_t *)job->q + row * job->q_row + h * job->q_head;
    uint16_t *out = (uint16_t *)job->out + row * job->news * width + h * job->width;
    for (int64_t new = 0; new < job->news; new += SIDE) {
        const Line line = {.queries = queries,
                           .out = out + new * width,
                           .seen = job->ends[row] - job->news + new + 1,
                           .more = 1,
                           .rows = least(SIDE, job->news - new),
                           .width = width,
                           .panel = SIDE};
        lay_out_queries(q + new * job->q_new, job->q_new, line.rows, head->panels, queries);
        attend_line(head, &line, 1);
    }
}

static int64_t most_lines(const Attention *job) {
    int64_t longest = 0;
    for (int64_t row = 0; row < job->rows; row++)
        if (job->ends[row] > longest) longest = job->ends[row];
    return squares(longest);
}

/* The bytes of scratch that a thread needs. */
EXPORTED int64_t janus_room_for_prompts(const Attention *job) {
    const int64_t panels = job->width / SIDE;
    return room_of_head(most_lines(job), panels) + panels * SQUARE * sizeof(uint16_t);
}

EXPORTED void janus_attend_prompts(const Attention *job, uint8_t *scratch, int threads) {
    const int64_t lines = most_lines(job), panels = job->width / SIDE;
#pragma omp parallel num_threads(threads)
    {
        uint8_t *room = scratch + omp_get_thread_num() * janus_room_for_prompts(job);
        const Head head = head_in((float *)room, lines, panels, job->scale);
        uint16_t *queries = (uint16_t *)(room + room_of_head(lines, panels));
        const unsigned mode = begin_squares(1);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t row = 0; row < job->rows; row++)
            for (int64_t key_head = 0; key_head < job->key_heads; key_head++) {
                const int64_t group = job->heads / job->key_heads;
                lay_out(job, &head, row, key_head);
                for (int64_t h = key_head * group; h < (key_head + 1) * group; h++)
                    attend_from(job, &head, row, h, queries);
            }
        end_squares(mode, 1);
    }
}
