/* Products with weights of four or eight bits, attention of few queries, and what lies between
 * them, for AVX-512.
 *
 * Enters: pointers to tensors as products.py and attention.py lay them out. Leaves: results in the
 * memory given. A row's result does not depend on the other rows, to the bit.
 *
 * Inputs are rounded to eight bits as they come, so that one `vpdpbusd` multiplies and adds four
 * pairs in each of sixteen lanes; the lanes are outputs. Weights have no sign, as that instruction
 * wants it: what this adds to a sum is known, and the sum starts with it taken away.
 *
 * M rows, K inputs, N outputs, R rows and B blocks of outputs of a tile */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define BLOCK 16        /* outputs: the lanes of a register */
#define GROUP 64        /* inputs that share a scale of four bits */
#define ALONE 200000    /* multiplications for which no second thread is woken */
#define AHEAD 4096      /* bytes: the processor itself fetches ahead no further than a page */

/* Sixteen numbers from place i on, float32 or bfloat16, as float32. */
INLINE __m512 load(const void *from, int64_t i, int is_bfloat16) {
    if (!is_bfloat16) return _mm512_loadu_ps((const float *)from + i);
    __m256i halves = _mm256_loadu_si256((const void *)((const uint16_t *)from + i));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

/* Sixty-four bytes, and asks for those that come later. */
INLINE __m512i next(const uint8_t *from) {
    _mm_prefetch((const char *)(from + AHEAD), _MM_HINT_T0);
    return _mm512_loadu_si512(from);
}

INLINE void store(void *to, int64_t i, __m512 x, int is_bfloat16) {
    if (is_bfloat16)
        _mm256_storeu_si256((void *)((uint16_t *)to + i), (__m256i)_mm512_cvtneps_pbh(x));
    else
        _mm512_storeu_ps((float *)to + i, x);
}

/* 2 to the power of x, by the series of exp(ln(2) * fraction): seven digits. */
INLINE __m512 power_of_two(__m512 x) {
    const float series[] = {1.5403530e-4f, 1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f,
                            2.4022651e-1f, 6.9314718e-1f, 1.0f};
    __m512 whole = _mm512_roundscale_ps(x, 0), fraction = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 7; i++) y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(series[i]));
    return _mm512_scalef_ps(y, whole);
}

/* ------------------------------------------------------------------------------- products */

typedef struct {
    const void *x;       /* [M, K], float32 or bfloat16 */
    void *y;             /* [M, N], of the same type */
    const uint8_t *w;    /* see tile4 and tile8 */
    const void *scales;
    int64_t M, N, K;
    int bits, is_bfloat16, has_bfloat16_scales, threads;
} Product;

/* The inputs in eight bits: x = whole * scale, with a scale for each span of a row. */
typedef struct {
    int8_t *whole;  /* [M, K] */
    float *scale;   /* [M, K / span] */
    float *sum;     /* of the span's whole numbers, [M, K / span] */
    int32_t *start; /* of a sum with weights, so that they need no sign, [M, K / span] */
} Inputs;

static void round_span(const Product *job, int64_t i, int64_t span, Inputs to) {
    __m512 largest = _mm512_setzero_ps();
    for (int64_t k = i * span; k < (i + 1) * span; k += 16)
        largest = _mm512_max_ps(largest, _mm512_abs_ps(load(job->x, k, job->is_bfloat16)));
    const float top = _mm512_reduce_max_ps(largest) + 1e-12f;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = i * span; k < (i + 1) * span; k += 16) {
        __m512 x = _mm512_mul_ps(load(job->x, k, job->is_bfloat16), _mm512_set1_ps(127 / top));
        __m512i whole = _mm512_cvtps_epi32(x);
        sum = _mm512_add_epi32(sum, whole);
        _mm_storeu_si128((void *)(to.whole + k), _mm512_cvtsepi32_epi8(whole));
    }
    to.scale[i] = top / 127;
    const int32_t total = _mm512_reduce_add_epi32(sum);
    to.sum[i] = total;
    to.start[i] = (job->bits == 4 ? -8 : -128) * total;
}

/* Four inputs in every lane. */
INLINE __m512i four(const int8_t *inputs) {
    int32_t bytes;
    memcpy(&bytes, inputs, 4);
    return _mm512_set1_epi32(bytes);
}

/* Weights of four bits, (whole - 8) * factor + middle. w: of each block and eight inputs 64 bytes,
 * sixteen outputs of four inputs in the lower bits and of the next four in the upper. scales: of
 * each block and group sixteen factors and sixteen middles. */
INLINE void tile4(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B, const int has_bfloat16_scales) {
    const __m512i low = _mm512_set1_epi8(15);
    const int64_t K = job->K, groups = K / GROUP;
    __m512 y[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g++) {
        const int8_t *inputs = x.whole + row * K + g * GROUP;
        const uint8_t *w = job->w + block * K * BLOCK / 2 + g * GROUP * BLOCK / 2;
        __m512i sum[R][B];
        for (int r = 0; r < R; r++)
            for (int b = 0; b < B; b++)
                sum[r][b] = _mm512_set1_epi32(x.start[(row + r) * groups + g]);
#pragma GCC unroll 8
        for (int k = 0; k < GROUP; k += 8)
            for (int b = 0; b < B; b++) {
                __m512i both = next(w + b * K * BLOCK / 2 + k * BLOCK / 2);
                __m512i earlier = _mm512_and_si512(both, low);
                __m512i later = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
                for (int r = 0; r < R; r++) {
                    const int8_t *from = inputs + r * K + k;
                    sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], earlier, four(from));
                    sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], later, four(from + 4));
                }
            }
        for (int b = 0; b < B; b++) {
            const int64_t place = ((block + b) * groups + g) * 2 * BLOCK;
            __m512 factor = load(job->scales, place, has_bfloat16_scales);
            __m512 middle = load(job->scales, place + BLOCK, has_bfloat16_scales);
            for (int r = 0; r < R; r++) {
                const int64_t span = (row + r) * groups + g;
                __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][b]), factor);
                part = _mm512_fmadd_ps(middle, _mm512_set1_ps(x.sum[span]), part);
                y[r][b] = _mm512_fmadd_ps(part, _mm512_set1_ps(x.scale[span]), y[r][b]);
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++)
            store(job->y, (row + r) * job->N + (block + b) * BLOCK, y[r][b], job->is_bfloat16);
}

/* Weights of eight bits, (whole - 128) * factor. w: of each block and four inputs 64 bytes, sixteen
 * outputs of four inputs. scales: a factor of each output, float32. */
INLINE void tile8(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B) {
    const int64_t K = job->K;
    const int8_t *inputs = x.whole + row * K;
    const uint8_t *w = job->w + block * K * BLOCK;
    __m512i sum[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) sum[r][b] = _mm512_set1_epi32(x.start[row + r]);
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k += 4)
        for (int b = 0; b < B; b++) {
            __m512i whole = next(w + b * K * BLOCK + k * BLOCK);
            for (int r = 0; r < R; r++)
                sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], whole, four(inputs + r * K + k));
        }
    for (int b = 0; b < B; b++) {
        __m512 factor = _mm512_loadu_ps((const float *)job->scales + (block + b) * BLOCK);
        for (int r = 0; r < R; r++) {
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][b]), factor);
            y = _mm512_mul_ps(y, _mm512_set1_ps(x.scale[row + r]));
            store(job->y, (row + r) * job->N + (block + b) * BLOCK, y, job->is_bfloat16);
        }
    }
}

INLINE void tile(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                 const int B) {
    if (job->bits == 8)
        tile8(job, x, row, block, R, B);
    else
        tile4(job, x, row, block, R, B, job->has_bfloat16_scales);
}

/* All rows of one or two blocks. Tiles are as large as the registers hold. */
static void multiply_blocks(const Product *job, Inputs x, int64_t block, int64_t end) {
    int64_t row = 0;
    for (; row + 8 <= job->M; row += 8)
        for (int64_t b = block; b < end; b++) tile(job, x, row, b, 8, 1);
    if (end - block == 2) {
        for (; row + 4 <= job->M; row += 4) tile(job, x, row, block, 4, 2);
        for (; row + 2 <= job->M; row += 2) tile(job, x, row, block, 2, 2);
        for (; row < job->M; row++) tile(job, x, row, block, 1, 2);
    }
    for (; row < job->M; row++) tile(job, x, row, block, 1, 1);
}

void janus_multiply(const Product *job) {
    const int64_t span = job->bits == 4 ? GROUP : job->K, spans = job->M * job->K / span;
    const int64_t blocks = job->N / BLOCK;
    const int threads = job->M * job->N * job->K < ALONE ? 1 : job->threads;
    Inputs x = {malloc(job->M * job->K), malloc(4 * spans), malloc(4 * spans), malloc(4 * spans)};
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < spans; i++) round_span(job, i, span, x);
#pragma omp for schedule(static)
        for (int64_t block = 0; block < blocks; block += 2)
            multiply_blocks(job, x, block, block + 2 < blocks ? block + 2 : blocks);
    }
    free(x.whole);
    free(x.scale);
    free(x.sum);
    free(x.start);
}

/* ------------------------------------------------------------------------------ attention */

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
    int threads;
} Attention;

/* weights[l] = factor * (q . key l). Returns the largest. */
static float score(const Attention *job, const uint16_t *q, const uint16_t *k, int64_t length,
                   float factor, float *weights) {
    float top = -INFINITY;
    for (int64_t l = 0; l < length; l++, k += job->k_place) {
        __m512 sum = _mm512_setzero_ps();
        for (int64_t i = 0; i < job->key_width; i += 32) {
            __m512bh key = (__m512bh)next((const uint8_t *)(k + i));
            sum = _mm512_dpbf16_ps(sum, key, (__m512bh)_mm512_loadu_si512(q + i));
        }
        weights[l] = factor * _mm512_reduce_add_ps(sum);
        top = weights[l] > top ? weights[l] : top;
    }
    return top;
}

/* weights[l] = 2 ** (weights[l] - top). Returns their sum. There is room to fill a register. */
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

/* out = factor * (sum of weights[l] * value l), for C registers of sixteen numbers. */
INLINE void sum_up(const float *weights, const uint16_t *v, int64_t place, int64_t length,
                   float factor, uint16_t *out, const int C) {
    __m512 sum[C];
    for (int c = 0; c < C; c++) sum[c] = _mm512_setzero_ps();
    for (int64_t l = 0; l < length; l++, v += place) {
        for (int c = 0; c < C; c += 2)
            _mm_prefetch((const char *)(v + 16 * c) + AHEAD, _MM_HINT_T0);
        for (int c = 0; c < C; c++)
            sum[c] = _mm512_fmadd_ps(_mm512_set1_ps(weights[l]), load(v, 16 * c, 1), sum[c]);
    }
    for (int c = 0; c < C; c++)
        store(out, 16 * c, _mm512_mul_ps(sum[c], _mm512_set1_ps(factor)), 1);
}

static void attend_query(const Attention *job, int64_t row, int64_t new, int64_t head,
                         float *weights) {
    const int64_t key_head = head / (job->heads / job->key_heads), slot = job->slots[row];
    const int64_t length = job->ends[row] - job->news + new + 1, place = job->v_place;
    const uint16_t *q = job->q + row * job->q_row + new * job->q_new + head * job->q_head;
    const uint16_t *k = job->k + slot * job->k_slot + key_head * job->k_head;
    const uint16_t *v = job->v + slot * job->v_slot + key_head * job->v_head;
    uint16_t *out = job->out + ((row * job->news + new) * job->heads + head) * job->width;
    const float log2_of_e = 1.44269504f;
    const float top = score(job, q, k, length, job->scale * log2_of_e, weights);
    const float factor = 1 / soften(weights, length, top);
    int64_t i = 0;
    for (; i + 128 <= job->width; i += 128)
        sum_up(weights, v + i, place, length, factor, out + i, 8);
    for (; i < job->width; i += 16)
        sum_up(weights, v + i, place, length, factor, out + i, 1);
}

void janus_attend(const Attention *job) {
    int64_t longest = 0;
    for (int64_t row = 0; row < job->rows; row++)
        if (job->ends[row] > longest) longest = job->ends[row];
#pragma omp parallel num_threads(job->threads)
    {
        float *weights = malloc((longest + 16) * sizeof(float));
#pragma omp for collapse(2) schedule(static)
        for (int64_t row = 0; row < job->rows; row++)
            for (int64_t head = 0; head < job->heads; head++)
                for (int64_t new = 0; new < job->news; new++)
                    attend_query(job, row, new, head, weights);
        free(weights);
    }
}

/* -------------------------------------------------------------------- number by number */

typedef struct {
    const void *x, *weight, *cosine, *sine;
    void *y;
    int64_t rows, row, heads, width; /* x: `row` numbers from one row to the next */
    float epsilon;
    int is_bfloat16, threads;
} Rows;

/* y = x / (root mean square of the row) * weight. */
static void normalize(const Rows *job, int64_t row) {
    const int is_bfloat16 = job->is_bfloat16;
    const int64_t from = row * job->row, to = row * job->width;
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = load(job->x, from + i, is_bfloat16);
        squares = _mm512_fmadd_ps(x, x, squares);
    }
    const float mean = _mm512_reduce_add_ps(squares) / job->width;
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(mean + job->epsilon));
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = _mm512_mul_ps(load(job->x, from + i, is_bfloat16), factor);
        store(job->y, to + i, _mm512_mul_ps(x, load(job->weight, i, is_bfloat16)), is_bfloat16);
    }
}

/* y = silu(x[:width]) * x[width:] */
static void gate(const Rows *job, int64_t row) {
    const __m512 one = _mm512_set1_ps(1), minus_log2_of_e = _mm512_set1_ps(-1.44269504f);
    for (int64_t i = 0; i < job->width; i += 16) {
        __m512 x = load(job->x, row * job->row + i, job->is_bfloat16);
        __m512 up = load(job->x, row * job->row + job->width + i, job->is_bfloat16);
        __m512 power = power_of_two(_mm512_mul_ps(x, minus_log2_of_e));
        __m512 y = _mm512_mul_ps(_mm512_div_ps(x, _mm512_add_ps(one, power)), up);
        store(job->y, row * job->width + i, y, job->is_bfloat16);
    }
}

/* y = x * cosine + (x with its halves exchanged) * sine, head by head. */
static void rotate(const Rows *job, int64_t row) {
    const int is_bfloat16 = job->is_bfloat16;
    const int64_t width = job->width, half = width / 2;
    for (int64_t head = 0; head < job->heads; head++)
        for (int64_t i = 0; i < width; i += 16) {
            const int64_t from = row * job->row + head * width;
            const int64_t other = i < half ? i + half : i - half;
            __m512 x = load(job->x, from + i, is_bfloat16);
            __m512 exchanged = load(job->x, from + other, is_bfloat16);
            __m512 y = _mm512_mul_ps(exchanged, load(job->sine, row * width + i, is_bfloat16));
            y = _mm512_fmadd_ps(x, load(job->cosine, row * width + i, is_bfloat16), y);
            store(job->y, (row * job->heads + head) * width + i, y, is_bfloat16);
        }
}

#define OVER_ROWS(name)                                                                           \
    void janus_##name(const Rows *job) {                                                          \
        const int64_t work = 32 * job->rows * job->heads * job->width;                            \
        _Pragma("omp parallel for num_threads(work < ALONE ? 1 : job->threads)")                  \
        for (int64_t row = 0; row < job->rows; row++) name(job, row);                             \
    }
OVER_ROWS(normalize)
OVER_ROWS(gate)
OVER_ROWS(rotate)
