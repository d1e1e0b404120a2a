/* Attention of few queries to slots where they lie. */

#include "attention.h"

#define NEAR 512 /* bytes: from the L2 cache */

/* Values come into the L2 cache while keys are read, and the next keys while values are: with two
 * streams memory gives a fifth more than with one. What lies beyond the end is never touched. */
INLINE void ask(const char *near, const char *far) {
    _mm_prefetch(near + NEAR, _MM_HINT_T0);
    _mm_prefetch(far, _MM_HINT_T1);
}

/* weights[l] = factor * (q . key l). Returns the largest. */
INLINE float score(const Query *job, float factor, float *weights, const int is_bfloat16) {
    float top = -INFINITY;
    const int64_t size = is_bfloat16 ? 2 : 4, bytes = job->key_width * size;
    const char *q = job->q, *k = job->k, *v = job->v;
    for (int64_t l = 0; l < job->length; l++, k += job->k_place * size, v += job->v_place * size) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = 0; i < bytes; i += 64) {
            ask(k + i, v + i);
            const __m512i key = _mm512_loadu_si512(k + i), query = _mm512_loadu_si512(q + i);
            if (is_bfloat16)
                sum = _mm512_dpbf16_ps(sum, (__m512bh)key, (__m512bh)query);
            else
                sum = _mm512_fmadd_ps((__m512)key, (__m512)query, sum);
        }
        weights[l] = factor * _mm512_reduce_add_ps(sum);
        top = weights[l] > top ? weights[l] : top;
    }
    return top;
}

/* weights[l] = 2 ** (weights[l] - top). Returns their sum. */
static float soften(float *weights, int64_t length, float top) {
    __m512 total = _mm512_setzero_ps();
    for (int64_t l = 0; l < length; l += 16) {
        const __mmask16 filled = length - l < 16 ? (1 << (length - l)) - 1 : 0xffff;
        __m512 score = _mm512_maskz_loadu_ps(filled, weights + l);
        __m512 weight = power_of_two(_mm512_sub_ps(score, _mm512_set1_ps(top)));
        _mm512_storeu_ps(weights + l, weight);
        total = _mm512_mask_add_ps(total, filled, total, weight);
    }
    return _mm512_reduce_add_ps(total);
}

/* out[i:] = factor * (sum of weights[l] * value l), for C registers of sixteen numbers. */
INLINE void sum_up(const Query *job, const float *weights, float factor, int64_t i, const int C,
                   const int is_bfloat16) {
    __m512 sum[C];
    const int64_t size = is_bfloat16 ? 2 : 4;
    const char *v = (const char *)job->v + i * size;
    const char *k = (const char *)job->k + (job->k_next + i) * size;
    for (int c = 0; c < C; c++) sum[c] = _mm512_setzero_ps();
    for (int64_t l = 0; l < job->length; l++, v += job->v_place * size, k += job->k_place * size) {
        for (int c = 0; c < 16 * C * size; c += 64) ask(v + c, k + c);
        for (int c = 0; c < C; c++)
            sum[c] = _mm512_fmadd_ps(_mm512_set1_ps(weights[l]), load(v, 16 * c, is_bfloat16),
                                     sum[c]);
    }
    for (int c = 0; c < C; c++)
        store(job->out, i + 16 * c, _mm512_mul_ps(sum[c], _mm512_set1_ps(factor)), is_bfloat16);
}

INLINE void attend_in(const Query *job, float *weights, const int is_bfloat16) {
    const float log2_of_e = 1.44269504f;
    const float top = score(job, job->scale * log2_of_e, weights, is_bfloat16);
    const float factor = 1 / soften(weights, job->length, top);
    int64_t i = 0;
    for (; i + 128 <= job->width; i += 128) sum_up(job, weights, factor, i, 8, is_bfloat16);
    for (; i < job->width; i += 16) sum_up(job, weights, factor, i, 1, is_bfloat16);
}

void attend(const Query *job, float *weights) {
    if (job->is_bfloat16)
        attend_in(job, weights, 1);
    else
        attend_in(job, weights, 0);
}

static void attend_place(const Attention *job, int64_t row, int64_t head, int64_t new,
                         float *weights) {
    const int64_t key_head = head / (job->heads / job->key_heads), slot = job->slots[row];
    const int64_t size = job->is_bfloat16 ? 2 : 4;
    const int64_t q = row * job->q_row + new * job->q_new + head * job->q_head;
    const int64_t k = slot * job->k_slot + key_head * job->k_head;
    const int64_t v = slot * job->v_slot + key_head * job->v_head;
    const int64_t out = ((row * job->news + new) * job->heads + head) * job->width;
    const Query query = {
        .q = (const char *)job->q + q * size,
        .k = (const char *)job->k + k * size,
        .v = (const char *)job->v + v * size,
        .out = (char *)job->out + out * size,
        .length = job->ends[row] - job->news + new + 1,
        .k_place = job->k_place,
        .k_next = job->k_head,
        .v_place = job->v_place,
        .key_width = job->key_width,
        .width = job->width,
        .scale = job->scale,
        .is_bfloat16 = job->is_bfloat16,
    };
    attend(&query, weights);
}

EXPORTED void janus_attend(const Attention *job, int threads) {
    int64_t longest = 0;
    for (int64_t row = 0; row < job->rows; row++)
        if (job->ends[row] > longest) longest = job->ends[row];
#pragma omp parallel num_threads(threads)
    {
        float weights[longest + BLOCK];
#pragma omp for collapse(2) schedule(static)
        for (int64_t row = 0; row < job->rows; row++)
            for (int64_t head = 0; head < job->heads; head++)
                for (int64_t new = 0; new < job->news; new++)
                    attend_place(job, row, head, new, weights);
    }
}
