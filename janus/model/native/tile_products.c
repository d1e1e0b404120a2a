/* Products in the tiles of a processor with AMX: sixteen rows cost little more than one.
 *
 * Whole numbers give what they give in registers, to the bit; sums of bfloat16 add up in another
 * order. */

#include "products.h"
#include "tiles.h"

/* How the eight registers of a processor with tiles are used: four sums of two times sixteen rows
 * and two blocks, the inputs of the rows, and the weights of the blocks. */
static void shape_tiles(int64_t rows) {
    const int64_t first = rows < 16 ? rows : 16, second = rows > 16 ? rows - 16 : 1;
    const int64_t lines[8] = {first, first, second, second, first, second, 16, 16};
    set_up_tiles(lines);
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

void multiply_in_tiles(const Product *job, Inputs x, int64_t block, int64_t end, int64_t *shaped) {
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
