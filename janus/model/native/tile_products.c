/* Products in the tiles of a processor with AMX: sixteen rows cost little more than one.
 *
 * Whole numbers give what they give in registers, to the bit; sums of bfloat16 add up in another
 * order. */

#include "products.h"
#include "tiles.h"

#define SETS 16 /* of rows, for which a part of the weights stays in the L1 cache */
#define STEPS 4 /* tiles of such a part, one after the other */

/* How the eight registers of a processor with tiles are used: four sums of two times sixteen rows
 * and two blocks, the inputs of the rows, and the weights of the blocks. */
static void shape_tiles(int64_t rows) {
    const int64_t first = rows < 16 ? rows : 16, second = rows > 16 ? rows - 16 : 1;
    const int64_t lines[8] = {first, first, second, second, first, second, 16, 16};
    set_up_tiles(lines);
}

/* Of a set of rows and two blocks, whole numbers or float32. */
typedef struct {
    int32_t of[2][16][2][BLOCK] __attribute__((aligned(64)));
} Sums;

/* Some sets of rows from `row` on, and one or two blocks of weights. */
typedef struct {
    const Product *job;
    Inputs x;
    int64_t row, sets, block;
} Area;

static const uint8_t *inputs_of(const Area *area, int64_t set, int64_t step) {
    return inputs_at(&area->x, area->row + set * ROWS, step * 64);
}

/* Asks for the tiles of B blocks that are read soon, of all in turn. */
INLINE void ask_soon(const uint8_t *w, int64_t block_bytes, const int B) {
    for (int i = AHEAD; i < AHEAD + 1024; i += 64)
        for (int b = 0; b < B; b++)
            _mm_prefetch((const char *)(w + b * block_bytes + i), _MM_HINT_T0);
}

/* Asks for a part of tiles that are read later, while others are read for one of some sets. */
INLINE void ask_later(const uint8_t *w, int64_t block_bytes, const int B, int64_t set,
                      int64_t sets) {
    const int64_t end = (set + 1) * 16 / sets * 64;
    for (int64_t i = set * 16 / sets * 64; i < end; i += 64)
        for (int b = 0; b < B; b++)
            _mm_prefetch((const char *)(w + b * block_bytes + i), _MM_HINT_T1);
}

/* Adds to the tiles of sums the products of 64 bytes of each row's inputs and 1024 of each block's
 * weights. Of several sets, the weights stay in the L1 cache, and the inputs do not. */
INLINE void add_tiles(const uint8_t *inputs, int64_t line, int64_t second, const uint8_t *w,
                      int64_t block_bytes, const int is_long, const int B, const int bits,
                      const int is_alone) {
    __asm__ volatile("" : : : "memory"); /* gcc does not see what tiles read */
    if (is_alone)
        _tile_loadd(4, inputs, line);
    else
        _tile_stream_loadd(4, inputs, line);
    _tile_loadd(6, w, 64);
    if (B == 2) _tile_loadd(7, w + block_bytes, 64);
    if (is_long && is_alone) _tile_loadd(5, inputs + second, line);
    if (is_long && !is_alone) _tile_stream_loadd(5, inputs + second, line);
    if (bits == 16) {
        _tile_dpbf16ps(0, 4, 6);
        if (B == 2) _tile_dpbf16ps(1, 4, 7);
        if (is_long) _tile_dpbf16ps(2, 5, 6);
        if (is_long && B == 2) _tile_dpbf16ps(3, 5, 7);
    } else if (bits == 8) {
        _tile_dpbsud(0, 4, 6);
        if (B == 2) _tile_dpbsud(1, 4, 7);
        if (is_long) _tile_dpbsud(2, 5, 6);
        if (is_long && B == 2) _tile_dpbsud(3, 5, 7);
    } else {
        _tile_dpbssd(0, 4, 6);
        if (B == 2) _tile_dpbssd(1, 4, 7);
        if (is_long) _tile_dpbssd(2, 5, 6);
        if (is_long && B == 2) _tile_dpbssd(3, 5, 7);
    }
}

INLINE void clear_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

INLINE void load_tiles(const Sums *sums, const int is_long, const int B) {
    const int64_t line = sizeof(sums->of[0][0]);
    _tile_loadd(0, sums->of[0][0][0], line);
    if (B == 2) _tile_loadd(1, sums->of[0][0][1], line);
    if (is_long) _tile_loadd(2, sums->of[1][0][0], line);
    if (is_long && B == 2) _tile_loadd(3, sums->of[1][0][1], line);
}

INLINE void store_tiles(Sums *sums, const int is_long, const int B) {
    const int64_t line = sizeof(sums->of[0][0]);
    _tile_stored(0, sums->of[0][0][0], line);
    if (B == 2) _tile_stored(1, sums->of[0][0][1], line);
    if (is_long) _tile_stored(2, sums->of[1][0][0], line);
    if (is_long && B == 2) _tile_stored(3, sums->of[1][0][1], line);
}

/* Of the rows that there are. */
INLINE void finish_set(const Area *area, int64_t set, const Sums *sums, const int B,
                       const int bits) {
    const Product *job = area->job;
    const int64_t row = area->row + set * ROWS, rows = least(ROWS, job->M - row);
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) {
            const int32_t *sum = sums->of[r / 16][r % 16][b];
            __m512 y = _mm512_load_ps(sum);
            if (bits == 8) {
                __m512i start = without_sign(area->x.sum[row + r]);
                y = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_load_si512(sum), start));
                y = _mm512_mul_ps(y, _mm512_loadu_ps(job->scales + (area->block + b) * BLOCK));
                y = _mm512_mul_ps(y, _mm512_set1_ps(area->x.scale[row + r]));
            }
            finish(job, row + r, area->block + b, y);
        }
}

/* As tile8 to the bit, and as tile16 but for the order of its sums. Where there are several sets, all
 * meet one part of the weights, which stays in the L1 cache, before they meet the next. */
INLINE void multiply_many_bits(const Area *area, const int is_long, const int B, const int bits,
                               const int is_alone) {
    const int64_t block_bytes = area->x.row_bytes * BLOCK, steps = area->x.row_bytes / 64;
    const int64_t part = is_alone ? steps : STEPS, sets = area->sets;
    const int64_t line = area->x.line, next = area->x.tile, second = 16 * area->x.row_bytes;
    const uint8_t *w = area->job->w + area->block * block_bytes;
    Sums sums[sets];
    for (int64_t start = 0; start < steps; start += part) {
        const int64_t end = least(start + part, steps);
        const int64_t ahead = end < steps ? part * 1024 : 2 * block_bytes - start * 1024;
        for (int64_t set = 0; set < sets; set++) {
            const uint8_t *inputs = inputs_of(area, set, start);
            if (start)
                load_tiles(&sums[set], is_long, B);
            else
                clear_tiles();
            for (int64_t i = start; i < end; i++, inputs += next) {
                const uint8_t *tile = w + i * 1024;
                if (is_alone)
                    ask_soon(tile, block_bytes, B);
                else
                    ask_later(tile + ahead, block_bytes, B, set, sets);
                add_tiles(inputs, line, second, tile, block_bytes, is_long, B, bits, is_alone);
            }
            store_tiles(&sums[set], is_long, B);
            if (end == steps) finish_set(area, set, &sums[set], B, bits);
        }
    }
}

/* A group of one block's weights of four bits, as the whole numbers of eight that they are. */
INLINE void spread(const Product *job, int64_t block, int64_t group, uint8_t *whole) {
    const __m512i low = _mm512_set1_epi8(15);
    const Levels levels = levels_of(job, block, group);
    /* No product of 15 and a spacing leaves its byte. */
    const __m512i spacing =
        _mm512_or_si512(levels.spacing, _mm512_slli_epi32(levels.spacing, 16));
    const __m512i byte = _mm512_and_si512(levels.lowest, _mm512_set1_epi32(255));
    const __m512i lowest = _mm512_mullo_epi32(byte, _mm512_set1_epi32(0x01010101));
    const uint8_t *w = job->w + (block * job->K + group * GROUP) * BLOCK / 2;
    for (int i = 0; i < 8; i++) {
        __m512i both = next(w + 64 * i);
        __m512i earlier = _mm512_and_si512(both, low);
        __m512i later = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        earlier = _mm512_add_epi8(_mm512_mullo_epi16(earlier, spacing), lowest);
        later = _mm512_add_epi8(_mm512_mullo_epi16(later, spacing), lowest);
        _mm512_store_si512(whole + 128 * i, earlier);
        _mm512_store_si512(whole + 128 * i + 64, later);
    }
}

/* As tile4 to the bit. All sets meet one span of the weights, which is spread while the first does,
 * before they meet the next. */
INLINE void multiply_four_bits(const Area *area, const int is_long, const int B,
                               const int is_alone) {
    const Product *job = area->job;
    const Inputs *x = &area->x;
    const int64_t groups = job->K / GROUP, spans = spans_of(job, x), sets = area->sets;
    const int64_t rows = least(sets * ROWS, job->M - area->row);
    uint8_t whole[2][SPAN * BLOCK] __attribute__((aligned(64)));
    __m512 y[sets * ROWS][B];
    Sums sums;
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) y[r][b] = _mm512_setzero_ps();
    for (int64_t span = 0; span < spans; span++) {
        const int64_t start = span * SPAN / GROUP, end = least(start + SPAN / GROUP, groups);
        __m512 factor[B];
        for (int b = 0; b < B; b++)
            factor[b] = _mm512_loadu_ps(job->scales + ((area->block + b) * spans + span) * BLOCK);
        for (int64_t set = 0; set < sets; set++) {
            clear_tiles();
            for (int64_t g = start; g < end; g++) {
                const int64_t at = (g - start) * GROUP * BLOCK;
                for (int b = 0; !set && b < B; b++) spread(job, area->block + b, g, whole[b] + at);
                add_tiles(inputs_of(area, set, g), x->line, 16 * x->row_bytes, whole[0] + at,
                          sizeof(whole[0]), is_long, B, 4, is_alone);
            }
            store_tiles(&sums, is_long, B);
            for (int64_t r = 0; r < least(ROWS, rows - set * ROWS); r++) {
                const int64_t row = set * ROWS + r;
                const float scale = x->scale[(area->row + row) * spans + span];
                for (int b = 0; b < B; b++) {
                    __m512i sum = _mm512_load_si512(sums.of[r / 16][r % 16][b]);
                    y[row][b] = add_span(y[row][b], _mm512_cvtepi32_ps(sum), factor[b], scale);
                }
            }
        }
    }
    for (int64_t r = 0; r < rows; r++)
        for (int b = 0; b < B; b++) finish(job, area->row + r, area->block + b, y[r][b]);
}

INLINE void multiply_area(const Area *area, const int is_long, const int B, const int is_alone) {
    if (area->job->bits == 16)
        multiply_many_bits(area, is_long, B, 16, is_alone);
    else if (area->job->bits == 8)
        multiply_many_bits(area, is_long, B, 8, is_alone);
    else
        multiply_four_bits(area, is_long, B, is_alone);
}

void multiply_in_tiles(const Product *job, Inputs x, int64_t block, int64_t end, int64_t *shaped) {
    const int64_t sets = (job->M + ROWS - 1) / ROWS, rows = sets > 1 ? ROWS : job->M;
    if (rows != *shaped) shape_tiles(*shaped = rows);
    for (int64_t set = 0; set < sets; set += SETS) {
        const Area area = {job, x, set * ROWS, least(SETS, sets - set), block};
        const int is_pair = end - block == 2;
        if (sets > 1 && is_pair)
            multiply_area(&area, 1, 2, 0);
        else if (sets > 1)
            multiply_area(&area, 1, 1, 0);
        else if (rows > 16 && is_pair)
            multiply_area(&area, 1, 2, 1);
        else if (rows > 16)
            multiply_area(&area, 1, 1, 1);
        else if (is_pair)
            multiply_area(&area, 0, 2, 1);
        else
            multiply_area(&area, 0, 1, 1);
    }
}
