/* Attention of few queries to slots where they lie. */

#include "kernels.h"

/* Row r's new tokens are the last of the first ends[r] places of slot slots[r]; each sees those up
 * to its own. All numbers are bfloat16, strides are counted in them, and numbers of one token lie
 * side by side. */
typedef struct {
    const uint16_t *q, *k, *v;
    uint16_t *out; /* [rows, news, heads, width] */
    const int64_t *slots, *ends;
    int64_t q_row, q_new, q_head, k_slot, k_head, k_place, v_slot, v_head, v_place;
    int64_t rows, news, heads, key_heads, key_width, width;
    float scale;
} Attention;

/* weights[l] = factor * (q . key l). Returns the largest. */
static float score(const Query *job, float factor, float *weights) {
    float top = -INFINITY;
    const uint16_t *k = job->k;
    for (int64_t l = 0; l < job->length; l++, k += job->k_place) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = 0; i < job->key_width; i += 32) {
            __m512bh key = (__m512bh)next((const uint8_t *)(k + i));
            sum = _mm512_dpbf16_ps(sum, key, (__m512bh)_mm512_loadu_si512(job->q + i));
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
INLINE void sum_up(const Query *job, const float *weights, float factor, int64_t i, const int C) {
    __m512 sum[C];
    const uint16_t *v = job->v + i;
    for (int c = 0; c < C; c++) sum[c] = _mm512_setzero_ps();
    for (int64_t l = 0; l < job->length; l++, v += job->v_place) {
        for (int c = 0; c < C; c += 2)
            _mm_prefetch((const char *)(v + 16 * c) + AHEAD, _MM_HINT_T0);
        for (int c = 0; c < C; c++)
            sum[c] = _mm512_fmadd_ps(_mm512_set1_ps(weights[l]), load(v, 16 * c, 1), sum[c]);
    }
    for (int c = 0; c < C; c++)
        store(job->out, i + 16 * c, _mm512_mul_ps(sum[c], _mm512_set1_ps(factor)), 1);
}

void attend(const Query *job, float *weights) {
    const float log2_of_e = 1.44269504f;
    const float top = score(job, job->scale * log2_of_e, weights);
    const float factor = 1 / soften(weights, job->length, top);
    int64_t i = 0;
    for (; i + 128 <= job->width; i += 128) sum_up(job, weights, factor, i, 8);
    for (; i < job->width; i += 16) sum_up(job, weights, factor, i, 1);
}

static void attend_place(const Attention *job, int64_t row, int64_t head, int64_t new,
                         float *weights) {
    const int64_t key_head = head / (job->heads / job->key_heads), slot = job->slots[row];
    const Query query = {
        .q = job->q + row * job->q_row + new * job->q_new + head * job->q_head,
        .k = job->k + slot * job->k_slot + key_head * job->k_head,
        .v = job->v + slot * job->v_slot + key_head * job->v_head,
        .out = job->out + ((row * job->news + new) * job->heads + head) * job->width,
        .length = job->ends[row] - job->news + new + 1,
        .k_place = job->k_place,
        .v_place = job->v_place,
        .key_width = job->key_width,
        .width = job->width,
        .scale = job->scale,
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
