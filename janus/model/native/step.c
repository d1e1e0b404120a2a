/* All layers of a transformer in one call, for a few new tokens of rows whose earlier ones lie in
 * slots: what transformer.py does layer by layer, with the same kernels and to the same bit, by one
 * team of threads that is woken once. All numbers are bfloat16.
 *
 * N tokens, D width, H heads, K key heads, d width of a head, I inner width */

#include "kernels.h"

typedef struct {
    const uint8_t *w;
    const float *scales;
    const int8_t *levels;
    int64_t outputs;
    int bits;
} Matrix;

typedef struct {
    const uint16_t *attention_norm, *feed_forward_norm;
    Matrix qkv, out, gate_up, down;
    uint16_t *k, *v; /* [slots, K, places, d] */
} Layer;

typedef struct {
    const Layer *layers;
    uint16_t *hidden;            /* [N, D], what goes in and what comes out */
    uint16_t *normed;            /* [N, D] */
    uint16_t *wide;              /* [N, the larger of (H + 2 K) d and 2 I] */
    uint16_t *narrow;            /* [N, the larger of H d, D and I] */
    uint16_t *q;                 /* [N, H, d] */
    void *scratch;               /* of the widest product */
    const uint16_t *cosine, *sine; /* [N, d] */
    const int64_t *slots, *positions; /* of each token */
    int64_t num_layers, tokens, width, heads, key_heads, head_width, inner, places;
    float epsilon, scale;
    int has_tiles;
} Step;

static void multiply(const Step *step, const uint16_t *x, int64_t inputs, const Matrix *matrix,
                     uint16_t *y, uint16_t *sum) {
    const Product product = {.x = x,
                             .y = y,
                             .sum = sum,
                             .w = matrix->w,
                             .scales = matrix->scales,
                             .levels = matrix->levels,
                             .scratch = step->scratch,
                             .M = step->tokens,
                             .N = matrix->outputs,
                             .K = inputs,
                             .bits = matrix->bits,
                             .is_bfloat16 = 1,
                             .has_tiles = step->has_tiles};
    multiply_shared(&product);
}

static void normalize_shared(const Step *step, const uint16_t *weight) {
    const Rows rows = {.x = step->hidden,
                       .y = step->normed,
                       .weight = weight,
                       .x_row = step->width,
                       .y_row = step->width,
                       .width = step->width,
                       .epsilon = step->epsilon,
                       .is_bfloat16 = 1};
#pragma omp for schedule(static)
    for (int64_t n = 0; n < step->tokens; n++) normalize(&rows, n);
}

/* Rotates queries and keys, and keeps keys and values in their slots. */
static void keep_shared(const Step *step, const Layer *layer) {
    const int64_t d = step->head_width, q_width = step->heads * d, k_width = step->key_heads * d;
#pragma omp for schedule(static)
    for (int64_t n = 0; n < step->tokens; n++) {
        const uint16_t *q = step->wide + n * (q_width + 2 * k_width);
        const uint16_t *k = q + q_width, *v = k + k_width;
        const int64_t head = step->places * d;
        const int64_t place = step->slots[n] * step->key_heads * head + step->positions[n] * d;
        Rows rows = {.x = q,
                     .y = step->q + n * q_width,
                     .cosine = step->cosine + n * d,
                     .sine = step->sine + n * d,
                     .y_head = d,
                     .heads = step->heads,
                     .width = d,
                     .is_bfloat16 = 1};
        rotate(&rows, 0);
        rows.x = k, rows.y = layer->k + place, rows.y_head = head, rows.heads = step->key_heads;
        rotate(&rows, 0);
        for (int64_t h = 0; h < step->key_heads; h++)
            memcpy(layer->v + place + h * head, v + h * d, d * sizeof(uint16_t));
    }
}

static void attend_shared(const Step *step, const Layer *layer, float *weights) {
    const int64_t d = step->head_width, group = step->heads / step->key_heads;
#pragma omp for collapse(2) schedule(static)
    for (int64_t n = 0; n < step->tokens; n++)
        for (int64_t h = 0; h < step->heads; h++) {
            const int64_t head = step->slots[n] * step->key_heads + h / group;
            const Query query = {.q = step->q + (n * step->heads + h) * d,
                                 .k = layer->k + head * step->places * d,
                                 .v = layer->v + head * step->places * d,
                                 .out = step->narrow + (n * step->heads + h) * d,
                                 .length = step->positions[n] + 1,
                                 .k_place = d,
                                 .v_place = d,
                                 .k_next = step->places * d,
                                 .key_width = d,
                                 .width = d,
                                 .scale = step->scale,
                                 .is_bfloat16 = 1};
            attend(&query, weights);
        }
}

static void gate_shared(const Step *step) {
    const Rows rows = {.x = step->wide,
                       .y = step->narrow,
                       .x_row = 2 * step->inner,
                       .y_row = step->inner,
                       .width = step->inner,
                       .is_bfloat16 = 1};
#pragma omp for schedule(static)
    for (int64_t n = 0; n < step->tokens; n++) gate(&rows, n);
}

static void run_layer(const Step *step, const Layer *layer, float *weights) {
    const int64_t attended = step->heads * step->head_width;
    normalize_shared(step, layer->attention_norm);
    multiply(step, step->normed, step->width, &layer->qkv, step->wide, NULL);
    keep_shared(step, layer);
    attend_shared(step, layer, weights);
    multiply(step, step->narrow, attended, &layer->out, step->normed, step->hidden);
    normalize_shared(step, layer->feed_forward_norm);
    multiply(step, step->normed, step->width, &layer->gate_up, step->wide, NULL);
    gate_shared(step);
    multiply(step, step->narrow, step->inner, &layer->down, step->normed, step->hidden);
}

EXPORTED void janus_run(const Step *step, int threads) {
    int64_t last = 0;
    for (int64_t n = 0; n < step->tokens; n++)
        if (step->positions[n] > last) last = step->positions[n];
#pragma omp parallel num_threads(threads)
    {
        float weights[last + 1 + BLOCK];
        for (int64_t i = 0; i < step->num_layers; i++)
            run_layer(step, &step->layers[i], weights);
    }
}
