/* Products with weights of four, eight or sixteen bits.
 *
 * Weights of four and eight bits meet inputs that are rounded to eight bits as they come, so that
 * one `vpdpbusd` multiplies and adds four pairs in each of sixteen lanes; the lanes are outputs.
 * Weights have no sign, as that instruction wants it: what this adds to a sum follows from the sum
 * of the inputs. Weights of sixteen bits are bfloat16, and so are their inputs.
 *
 * M rows, K inputs, N outputs, R rows and B blocks of outputs of a tile */

#include "products.h"

#define FEW 4 /* rows that whole numbers need no tiles for */

static void round_span(const Product *job, int64_t i, const Inputs *to) {
    const int64_t K = job->K, spans = spans_of(job, to), row = i / spans;
    const int64_t start = i % spans * to->span, end = least(start + to->span, K);
    __m512 largest = _mm512_setzero_ps();
    for (int64_t k = start; k < end; k += 16)
        largest = _mm512_max_ps(largest, _mm512_abs_ps(load(job->x, row * K + k, job->is_bfloat16)));
    const float top = _mm512_reduce_max_ps(largest) + 1e-12f;
    to->scale[i] = top / 127;
    for (int64_t part = start; part < end; part += to->part) {
        __m512i sum = _mm512_setzero_si512();
        for (int64_t k = part; k < part + to->part; k += 16) {
            __m512 x = load(job->x, row * K + k, job->is_bfloat16);
            __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(127 / top)));
            sum = _mm512_add_epi32(sum, whole);
            _mm_storeu_si128((void *)inputs_at(to, row, k), _mm512_cvtsepi32_epi8(whole));
        }
        to->sum[(row * K + part) / to->part] = _mm512_reduce_add_epi32(sum);
    }
}

static void lay_in_tiles(const Product *job, int64_t row, const Inputs *to) {
    const uint8_t *x = (const uint8_t *)job->x + row * to->row_bytes;
    for (int64_t i = 0; i < to->row_bytes; i += 64)
        _mm512_storeu_si512(inputs_at(to, row, i), _mm512_loadu_si512(x + i));
}

/* Four bytes of the inputs in every lane. */
INLINE __m512i four(const void *inputs) {
    int32_t bytes;
    memcpy(&bytes, inputs, 4);
    return _mm512_set1_epi32(bytes);
}

/* Weights of four bits, (whole * spacing + lowest) * factor. w: of each block and eight inputs 64
 * bytes, sixteen outputs of four inputs in the lower bits and of the next four in the upper.
 * levels: of each block and group sixteen spacings and sixteen lowest. scales: of each block and
 * span sixteen factors.
 *
 * Within a span, float32 holds all sums of such whole numbers exactly: they stay below 2 to the 24
 * (512 * 127 * 255). So they are what tiles find in other ways. */
INLINE void tile4(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B) {
    const __m512i low = _mm512_set1_epi8(15);
    const int64_t K = job->K, groups = K / GROUP, spans = spans_of(job, &x);
    __m512 y[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
    for (int64_t span = 0; span < spans; span++) {
        const int64_t end = least((span + 1) * SPAN / GROUP, groups);
        __m512 total[R][B];
        for (int r = 0; r < R; r++)
            for (int b = 0; b < B; b++) total[r][b] = _mm512_setzero_ps();
        for (int64_t g = span * SPAN / GROUP; g < end; g++) {
            const uint8_t *inputs = x.bytes + row * K + g * GROUP;
            const uint8_t *w = job->w + block * K * BLOCK / 2 + g * GROUP * BLOCK / 2;
            __m512i sum[R][B];
            for (int r = 0; r < R; r++)
                for (int b = 0; b < B; b++) sum[r][b] = _mm512_setzero_si512();
#pragma GCC unroll 8
            for (int k = 0; k < GROUP; k += 8)
                for (int b = 0; b < B; b++) {
                    __m512i both = next(w + b * K * BLOCK / 2 + k * BLOCK / 2);
                    __m512i earlier = _mm512_and_si512(both, low);
                    __m512i later = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
                    for (int r = 0; r < R; r++) {
                        const uint8_t *from = inputs + r * K + k;
                        sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], earlier, four(from));
                        sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], later, four(from + 4));
                    }
                }
            for (int b = 0; b < B; b++) {
                const Levels levels = levels_of(job, block + b, g);
                __m512 spacing = _mm512_cvtepi32_ps(levels.spacing);
                __m512 lowest = _mm512_cvtepi32_ps(levels.lowest);
                for (int r = 0; r < R; r++) {
                    __m512 inputs_sum = _mm512_set1_ps(x.sum[(row + r) * groups + g]);
                    __m512 part = _mm512_cvtepi32_ps(sum[r][b]);
                    total[r][b] = _mm512_fmadd_ps(part, spacing, total[r][b]);
                    total[r][b] = _mm512_fmadd_ps(lowest, inputs_sum, total[r][b]);
                }
            }
        }
        for (int b = 0; b < B; b++) {
            __m512 factor = _mm512_loadu_ps(job->scales + ((block + b) * spans + span) * BLOCK);
            for (int r = 0; r < R; r++)
                y[r][b] = add_span(y[r][b], total[r][b], factor, x.scale[(row + r) * spans + span]);
        }
    }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
}

/* Weights of eight bits, (whole - 128) * factor. w: of each block and four inputs 64 bytes, sixteen
 * outputs of four inputs. scales: a factor of each output, float32. */
INLINE void tile8(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                  const int B) {
    const int64_t K = job->K;
    const uint8_t *inputs = x.bytes + row * K;
    const uint8_t *w = job->w + block * K * BLOCK;
    __m512i sum[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) sum[r][b] = without_sign(x.sum[row + r]);
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k += 4)
        for (int b = 0; b < B; b++) {
            __m512i whole = next(w + b * K * BLOCK + k * BLOCK);
            for (int r = 0; r < R; r++)
                sum[r][b] = _mm512_dpbusd_epi32(sum[r][b], whole, four(inputs + r * K + k));
        }
    for (int b = 0; b < B; b++) {
        __m512 factor = _mm512_loadu_ps(job->scales + (block + b) * BLOCK);
        for (int r = 0; r < R; r++) {
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][b]), factor);
            y = _mm512_mul_ps(y, _mm512_set1_ps(x.scale[row + r]));
            finish(job, row + r, block + b, y);
        }
    }
}

/* Weights of sixteen bits. w: of each block and two inputs 64 bytes, sixteen outputs of two
 * inputs. */
INLINE void tile16(const Product *job, int64_t row, int64_t block, const int R, const int B) {
    const int64_t K = job->K;
    const uint16_t *inputs = (const uint16_t *)job->x + row * K;
    const uint8_t *w = job->w + block * K * BLOCK * 2;
    __m512 y[R][B];
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k += 2)
        for (int b = 0; b < B; b++) {
            __m512bh weights = (__m512bh)next(w + b * K * BLOCK * 2 + k * BLOCK * 2);
            for (int r = 0; r < R; r++)
                y[r][b] = _mm512_dpbf16_ps(y[r][b], weights, (__m512bh)four(inputs + r * K + k));
        }
    for (int r = 0; r < R; r++)
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
}

INLINE void tile(const Product *job, Inputs x, int64_t row, int64_t block, const int R,
                 const int B) {
    if (job->bits == 16)
        tile16(job, row, block, R, B);
    else if (job->bits == 8)
        tile8(job, x, row, block, R, B);
    else
        tile4(job, x, row, block, R, B);
}

/* All rows of one or two blocks. Tiles are as large as the registers hold. */
static void multiply_blocks(const Product *job, Inputs x, int64_t block, int64_t end) {
    int64_t row = 0;
    for (; row + 8 <= job->M; row += 8)
        for (int64_t b = block; b < end; b++) tile(job, x, row, b, 8, 1);
    if (end - block == 2) {
        for (; row + 4 <= job->M; row += 4) tile(job, x, row, block, 4, 2);
        for (; row + 3 <= job->M; row += 3) tile(job, x, row, block, 3, 2);
        for (; row + 2 <= job->M; row += 2) tile(job, x, row, block, 2, 2);
        for (; row < job->M; row++) tile(job, x, row, block, 1, 2);
    }
    for (; row < job->M; row++) tile(job, x, row, block, 1, 1);
}

void multiply_shared(const Product *job) {
    const int64_t row_bytes = job->bits == 16 ? 2 * job->K : job->K;
    const int in_tiles = job->has_tiles && (job->bits == 16 || job->M > FEW);
    const int is_laid = in_tiles && job->M > ROWS;
    const int64_t rows = is_laid ? (job->M + ROWS - 1) / ROWS * ROWS : job->M;
    Inputs x = {
        .bytes = job->bits == 16 && !is_laid ? (uint8_t *)job->x : job->scratch,
        .row_bytes = row_bytes,
        .line = is_laid ? 64 : row_bytes,
        .tile = is_laid ? 1024 : 64,
        .span = job->bits == 4 ? SPAN : job->K,
        .part = job->bits == 4 ? GROUP : job->K,
        .scale = (float *)((uint8_t *)job->scratch + rows * row_bytes),
    };
    const int64_t spans = job->M * spans_of(job, &x), blocks = job->N / BLOCK;
    x.sum = x.scale + spans;
    if (job->bits != 16) {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < spans; i++) round_span(job, i, &x);
    } else if (is_laid) {
#pragma omp for schedule(static)
        for (int64_t row = 0; row < job->M; row++) lay_in_tiles(job, row, &x);
    }
    int64_t shaped = 0;
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; block += 2) {
        const int64_t end = block + 2 < blocks ? block + 2 : blocks;
        if (in_tiles)
            multiply_in_tiles(job, x, block, end, &shaped);
        else
            multiply_blocks(job, x, block, end);
    }
    if (shaped) _tile_release();
}

/* One product after the other, each by all threads. */
EXPORTED void janus_multiply(const Product *jobs, int64_t count, int threads) {
    int64_t work = 0;
    for (int64_t i = 0; i < count; i++) work += jobs[i].M * jobs[i].N * jobs[i].K;
#pragma omp parallel num_threads(work < ALONE ? 1 : threads)
    for (int64_t i = 0; i < count; i++) multiply_shared(jobs + i);
}
