/* Products with weights of four, eight or sixteen bits.
 *
 * Weights of four and eight bits meet inputs that are rounded to eight bits as they come, so that
 * one `vpdpbusd` multiplies and adds four pairs in each of sixteen lanes; the lanes are outputs.
 * Weights have no sign, as that instruction wants it: what this adds to a sum is known, and the sum
 * starts with it taken away. Weights of sixteen bits are bfloat16, and so are their inputs.
 *
 * M rows, K inputs, N outputs, R rows and B blocks of outputs of a tile */

#include "kernels.h"

#define FEW 4 /* rows that whole numbers need no tiles for */

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

/* Four bytes of the inputs in every lane. */
INLINE __m512i four(const void *inputs) {
    int32_t bytes;
    memcpy(&bytes, inputs, 4);
    return _mm512_set1_epi32(bytes);
}

INLINE void finish(const Product *job, int64_t row, int64_t block, __m512 y) {
    const int64_t place = row * job->N + block * BLOCK;
    if (job->bias) y = _mm512_add_ps(y, load(job->bias, block * BLOCK, job->is_bfloat16));
    store(job->y, place, y, job->is_bfloat16);
    if (!job->sum) return;
    y = load(job->y, place, job->is_bfloat16);
    store(job->sum, place, _mm512_add_ps(load(job->sum, place, job->is_bfloat16), y),
          job->is_bfloat16);
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
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
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

/* How the eight registers of a processor with tiles are used: four sums of two times sixteen rows
 * and two blocks, the inputs of the rows, and the weights of the blocks. */
static void shape_tiles(int64_t rows) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {.palette = 1};
    const int64_t of_tile[8] = {rows, rows, rows - 16, rows - 16, rows, rows - 16, 16, 16};
    for (int i = 0; i < 8; i++) {
        shape.rows[i] = of_tile[i] > 16 ? 16 : of_tile[i] < 1 ? 1 : of_tile[i];
        shape.bytes[i] = 64;
    }
    __asm__ volatile("" : : "r"(&shape) : "memory"); /* or gcc forgets to fill it */
    _tile_loadconfig(&shape);
}

/* Asks for the tile of weights that is read later. */
INLINE void ask(const uint8_t *w) {
    for (int i = 0; i < 1024; i += 64) _mm_prefetch((const char *)(w + AHEAD + i), _MM_HINT_T0);
}

typedef struct {
    int32_t of[2][16][2][BLOCK] __attribute__((aligned(64))); /* or float32 */
} Sums;

/* Adds to the tiles of sums the products of 64 bytes of each row's inputs and 1024 of each block's
 * weights. */
INLINE void add_tiles(const void *inputs, int64_t row_bytes, const uint8_t *w, int64_t block_bytes,
                      const int is_long, const int B, const int is_bfloat16) {
    __asm__ volatile("" : : : "memory"); /* gcc does not see what tiles read */
    _tile_loadd(4, inputs, row_bytes);
    _tile_loadd(6, w, 64);
    if (B == 2) _tile_loadd(7, w + block_bytes, 64);
    if (is_long) _tile_loadd(5, (const uint8_t *)inputs + 16 * row_bytes, row_bytes);
    if (is_bfloat16) {
        _tile_dpbf16ps(0, 4, 6);
        if (B == 2) _tile_dpbf16ps(1, 4, 7);
        if (is_long) _tile_dpbf16ps(2, 5, 6);
        if (is_long && B == 2) _tile_dpbf16ps(3, 5, 7);
    } else {
        _tile_dpbsud(0, 4, 6);
        if (B == 2) _tile_dpbsud(1, 4, 7);
        if (is_long) _tile_dpbsud(2, 5, 6);
        if (is_long && B == 2) _tile_dpbsud(3, 5, 7);
    }
}

INLINE void clear_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

INLINE void store_tiles(Sums *sums, const int is_long, const int B) {
    const int64_t row_bytes = sizeof(sums->of[0][0]);
    _tile_stored(0, sums->of[0][0][0], row_bytes);
    if (B == 2) _tile_stored(1, sums->of[0][0][1], row_bytes);
    if (is_long) _tile_stored(2, sums->of[1][0][0], row_bytes);
    if (is_long && B == 2) _tile_stored(3, sums->of[1][0][1], row_bytes);
}

/* As tile8 to the bit, and as tile16 but for the order of its sums. */
INLINE void tiles_of_many_bits(const Product *job, Inputs x, int64_t row, int64_t rows,
                               int64_t block, const int is_long, const int B, const int bits) {
    const int64_t row_bytes = job->K * bits / 8, block_bytes = row_bytes * BLOCK;
    const uint8_t *inputs = (bits == 16 ? job->x : (const void *)x.whole) + row * row_bytes;
    const uint8_t *w = job->w + block * block_bytes;
    Sums sums;
    clear_tiles();
    for (int64_t i = 0; i < row_bytes; i += 64, w += 1024) {
        for (int b = 0; b < B; b++) ask(w + b * block_bytes);
        add_tiles(inputs + i, row_bytes, w, block_bytes, is_long, B, bits == 16);
    }
    store_tiles(&sums, is_long, B);
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) {
            const int32_t *sum = sums.of[r / 16][r % 16][b];
            __m512 y = _mm512_load_ps(sum);
            if (bits == 8) {
                __m512i start = _mm512_set1_epi32(x.start[row + r]);
                y = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_load_si512(sum), start));
                y = _mm512_mul_ps(y, load(job->scales, (block + b) * BLOCK, 0));
                y = _mm512_mul_ps(y, _mm512_set1_ps(x.scale[row + r]));
            }
            finish(job, row + r, block + b, y);
        }
}

/* As tile4 to the bit. */
INLINE void tiles_of_four_bits(const Product *job, Inputs x, int64_t row, int64_t rows,
                               int64_t block, const int is_long, const int B) {
    const __m512i low = _mm512_set1_epi8(15);
    const int64_t K = job->K, groups = K / GROUP, is_short = job->has_bfloat16_scales;
    __m512 y[32][B];
    Sums sums;
    uint8_t whole[2][1024] __attribute__((aligned(64)));
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g++) {
        __m512 factor[B], middle[B];
        for (int b = 0; b < B; b++) {
            const uint8_t *w = job->w + ((block + b) * K + g * GROUP) * BLOCK / 2;
            for (int i = 0; i < 8; i++) {
                __m512i both = next(w + 64 * i);
                __m512i later = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
                _mm512_store_si512(whole[b] + 128 * i, _mm512_and_si512(both, low));
                _mm512_store_si512(whole[b] + 128 * i + 64, later);
            }
            const int64_t place = ((block + b) * groups + g) * 2 * BLOCK;
            factor[b] = load(job->scales, place, is_short);
            middle[b] = load(job->scales, place + BLOCK, is_short);
        }
        clear_tiles();
        add_tiles(x.whole + row * K + g * GROUP, K, whole[0], 1024, is_long, B, 0);
        store_tiles(&sums, is_long, B);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t span = (row + r) * groups + g;
            const __m512i start = _mm512_set1_epi32(x.start[span]);
            const __m512 sum = _mm512_set1_ps(x.sum[span]), scale = _mm512_set1_ps(x.scale[span]);
            for (int b = 0; b < B; b++) {
                __m512i product = _mm512_load_si512(sums.of[r / 16][r % 16][b]);
                __m512 part = _mm512_cvtepi32_ps(_mm512_add_epi32(product, start));
                part = _mm512_fmadd_ps(middle[b], sum, _mm512_mul_ps(part, factor[b]));
                y[r][b] = _mm512_fmadd_ps(part, scale, y[r][b]);
            }
        }
    }
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) finish(job, row + r, block + b, y[r][b]);
}

INLINE void tiles_of_rows(const Product *job, Inputs x, int64_t row, int64_t rows, int64_t block,
                          const int is_long, const int B) {
    if (job->bits == 16)
        tiles_of_many_bits(job, x, row, rows, block, is_long, B, 16);
    else if (job->bits == 8)
        tiles_of_many_bits(job, x, row, rows, block, is_long, B, 8);
    else
        tiles_of_four_bits(job, x, row, rows, block, is_long, B);
}

/* All rows of one or two blocks. `shaped` is the number of rows that tiles were shaped for. */
static void multiply_blocks_in_tiles(const Product *job, Inputs x, int64_t block, int64_t end,
                                     int64_t *shaped) {
    for (int64_t row = 0; row < job->M; row += 32) {
        const int64_t rows = job->M - row < 32 ? job->M - row : 32;
        if (rows != *shaped) shape_tiles(*shaped = rows);
        if (end - block == 2 && rows > 16)
            tiles_of_rows(job, x, row, rows, block, 1, 2);
        else if (end - block == 2)
            tiles_of_rows(job, x, row, rows, block, 0, 2);
        else if (rows > 16)
            tiles_of_rows(job, x, row, rows, block, 1, 1);
        else
            tiles_of_rows(job, x, row, rows, block, 0, 1);
    }
}

void multiply_shared(const Product *job) {
    const int64_t span = job->bits == 4 ? GROUP : job->K, spans = job->M * job->K / span;
    const int64_t blocks = job->N / BLOCK;
    const int in_tiles = job->has_tiles && (job->bits == 16 || job->M > FEW);
    float *scales = (float *)((int8_t *)job->scratch + job->M * job->K);
    Inputs x = {job->scratch, scales, scales + spans, (int32_t *)(scales + 2 * spans)};
    if (job->bits != 16) {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < spans; i++) round_span(job, i, span, x);
    }
    int64_t shaped = 0;
#pragma omp for schedule(static)
    for (int64_t block = 0; block < blocks; block += 2) {
        const int64_t end = block + 2 < blocks ? block + 2 : blocks;
        if (in_tiles)
            multiply_blocks_in_tiles(job, x, block, end, &shaped);
        else
            multiply_blocks(job, x, block, end);
    }
    if (shaped) _tile_release();
}

EXPORTED void janus_multiply(const Product *job, int threads) {
#pragma omp parallel num_threads(job->M * job->N * job->K < ALONE ? 1 : threads)
    multiply_shared(job);
}
