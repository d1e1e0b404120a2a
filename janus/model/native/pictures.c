/* What a vision transformer does to whole pictures: norms, products and attention of all patches.
 *
 * Matrices that are multiplied lie in squares of 32 by 32 bfloat16, each in 2048 bytes that follow
 * each other: [rows / 32, columns / 32] of them. On the left a square is its rows, one after the
 * other; on the right it is two halves of sixteen columns, and each of their lines holds a pair of
 * rows, column by column ([2, 16 pairs, 16 columns, 2]), as `dpbf16` wants them. A picture's rows
 * are filled up to whole squares, so that its results do not depend on other pictures, to the bit.
 */

#include "numbers.h"

#define SIDE 32
#define SQUARE (SIDE * SIDE)
#define STEPS 8   /* squares of a sum that are added up while the left ones stay in the L1 cache */
#define PANELS 8  /* squares side by side */
#define DEEP 32   /* squares of a sum: those of so many side by side stay in the L2 cache */

typedef struct {
    const uint16_t *left, *right, *bias; /* squares; squares with columns in the first place */
    const uint16_t *residual;            /* added to the result, [pictures, rows, columns], or 0 */
    uint16_t *out;                       /* [pictures, rows, columns], or squares of gelu(result) */
    int64_t pictures, rows, depth, columns;
    int has_gelu, has_tiles, threads;
} PictureProduct;

typedef struct {
    const uint16_t *qkv; /* [pictures, rows, 3, heads, width] */
    uint16_t *out;       /* squares [pictures, rows / 32, heads * width / 32] */
    int64_t pictures, rows, heads, width;
    float scale;
    int has_tiles, threads;
} PictureAttention;

typedef struct {
    const uint16_t *x, *weight, *bias;
    uint16_t *out; /* squares */
    int64_t pictures, rows, width;
    float epsilon;
    int threads;
} PictureNorm;

INLINE int64_t squares(int64_t numbers) { return (numbers + SIDE - 1) / SIDE; }

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Every thread sets up its own tiles, eight of 16 lines of 64 bytes. */
static void take_tiles(int has_tiles) {
    if (!has_tiles) return;
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t lines[16];
    } shape = {.palette = 1};
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.lines[i] = 16;
    asm volatile("" : : "r"(&shape) : "memory"); /* gcc does not see that it is read */
    _tile_loadconfig(&shape);
}

static void leave_tiles(int has_tiles) {
    if (has_tiles) _tile_release();
}

/* sum += left @ right, over `steps` squares; sum: 32 by 32 float32 that begin at zero if `fresh`. */
static void add_tiles(const uint16_t *left, const uint16_t *right, int64_t steps, float *sum,
                      int fresh) {
    const int line = SIDE * sizeof(float);
    asm volatile("" : : : "memory"); /* gcc does not see what tiles read */
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sum, line);
        _tile_loadd(1, sum + 16, line);
        _tile_loadd(2, sum + SQUARE / 2, line);
        _tile_loadd(3, sum + SQUARE / 2 + 16, line);
    }
    for (int64_t k = 0; k < steps; k++, left += SQUARE, right += SQUARE) {
        _tile_loadd(4, left, 64);
        _tile_loadd(6, right, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(7, right + SQUARE / 2, 64);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, left + SQUARE / 2, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sum, line);
    _tile_stored(1, sum + 16, line);
    _tile_stored(2, sum + SQUARE / 2, line);
    _tile_stored(3, sum + SQUARE / 2 + 16, line);
    asm volatile("" : : : "memory");
}

/* The same without tiles, eight rows at a time. */
static void add_registers(const uint16_t *left, const uint16_t *right, int64_t steps, float *sum,
                          int fresh) {
    for (int row = 0; row < SIDE; row += 8) {
        __m512 y[8][2];
        for (int r = 0; r < 8; r++)
            for (int h = 0; h < 2; h++)
                y[r][h] = fresh ? _mm512_setzero_ps()
                                : _mm512_loadu_ps(sum + (row + r) * SIDE + 16 * h);
        for (int64_t k = 0; k < steps; k++)
            for (int pair = 0; pair < 16; pair++) {
                const uint16_t *x = left + k * SQUARE + row * SIDE + 2 * pair;
                const uint16_t *w = right + k * SQUARE + pair * SIDE;
                __m512bh first = (__m512bh)_mm512_loadu_si512(w);
                __m512bh second = (__m512bh)_mm512_loadu_si512(w + SQUARE / 2);
                for (int r = 0; r < 8; r++) {
                    int32_t both;
                    memcpy(&both, x + r * SIDE, 4);
                    __m512bh inputs = (__m512bh)_mm512_set1_epi32(both);
                    y[r][0] = _mm512_dpbf16_ps(y[r][0], inputs, first);
                    y[r][1] = _mm512_dpbf16_ps(y[r][1], inputs, second);
                }
            }
        for (int r = 0; r < 8; r++)
            for (int h = 0; h < 2; h++)
                _mm512_storeu_ps(sum + (row + r) * SIDE + 16 * h, y[r][h]);
    }
}

INLINE void add_product(const uint16_t *left, const uint16_t *right, int64_t steps, float *sum,
                        int fresh, int has_tiles) {
    (has_tiles ? add_tiles : add_registers)(left, right, steps, sum, fresh);
}

/* Thirty-two numbers as a line of a square. */
INLINE void store_line(uint16_t *to, __m512 first, __m512 second) {
    _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* x * (1 + erf(x / sqrt 2)) / 2, the tail by formula 7.1.26 of Abramowitz and Stegun. */
INLINE __m512 gelu(__m512 x) {
    const float series[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f,
                            0.254829592f};
    const __m512 one = _mm512_set1_ps(1), size = _mm512_abs_ps(x);
    __m512 t = _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911f * 0.70710678f), one);
    t = _mm512_div_ps(one, t);
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 5; i++) y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(series[i]));
    __m512 power = power_of_two(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.72134752f)));
    __m512 tail = _mm512_mul_ps(_mm512_mul_ps(y, t), _mm512_mul_ps(power, _mm512_set1_ps(0.5f)));
    /* x * (1 - tail) = x - |x| * tail for what is positive, x * tail = -|x| * tail for the rest. */
    return _mm512_fnmadd_ps(size, tail, _mm512_max_ps(x, _mm512_setzero_ps()));
}

/* What becomes of a finished square of sums. */
static void finish(const PictureProduct *job, const float *sum, int64_t picture, int64_t block,
                   int64_t panel) {
    const int64_t rows = least(SIDE, job->rows - block * SIDE), column = panel * SIDE;
    __m512 first_bias = load(job->bias, column, 1), second_bias = load(job->bias, column + 16, 1);
    uint16_t *square = job->out + ((picture * squares(job->rows) + block) * job->columns / SIDE +
                                   panel) * SQUARE;
    for (int64_t r = 0; r < rows; r++) {
        __m512 first = _mm512_add_ps(_mm512_loadu_ps(sum + r * SIDE), first_bias);
        __m512 second = _mm512_add_ps(_mm512_loadu_ps(sum + r * SIDE + 16), second_bias);
        const int64_t place = (picture * job->rows + block * SIDE + r) * job->columns + column;
        if (job->residual) {
            first = _mm512_add_ps(first, load(job->residual, place, 1));
            second = _mm512_add_ps(second, load(job->residual, place + 16, 1));
        }
        if (job->has_gelu)
            store_line(square + r * SIDE, gelu(first), gelu(second));
        else
            store_line(job->out + place, first, second);
    }
    if (job->has_gelu) memset(square + rows * SIDE, 0, 2 * (SIDE - rows) * SIDE);
}

/* Adds at most STEPS squares to the sums of `panels` squares side by side. */
static void multiply_steps(const PictureProduct *job, int64_t picture, int64_t block, int64_t panel,
                           int64_t panels, int64_t step, float *sums) {
    const int64_t depth = job->depth / SIDE, steps = least(STEPS, depth - step);
    const int64_t line = picture * squares(job->rows) + block;
    const uint16_t *left = job->left + (line * depth + step) * SQUARE;
    for (int64_t p = 0; p < panels; p++) {
        const uint16_t *right = job->right + ((panel + p) * depth + step) * SQUARE;
        float *sum = sums + p * SQUARE;
        add_product(left, right, steps, sum, step == 0, job->has_tiles);
        if (step + steps == depth) finish(job, sum, picture, block, panel + p);
    }
}

/* All rows of a picture, and `panels` squares side by side. A long sum is added up in parts, whose
 * right sides stay in the L2 cache. */
static void multiply_panels(const PictureProduct *job, int64_t picture, int64_t panel,
                            int64_t panels, float *sums) {
    const int64_t blocks = squares(job->rows), depth = job->depth / SIDE;
    for (int64_t part = 0; part < depth; part += DEEP)
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t step = part; step < least(part + DEEP, depth); step += STEPS)
                multiply_steps(job, picture, block, panel, panels, step,
                               sums + (depth > DEEP ? block : 0) * PANELS * SQUARE);
}

void janus_multiply_pictures(const PictureProduct *job) {
    const int64_t panels = job->columns / SIDE;
#pragma omp parallel num_threads(job->threads)
    {
        float *sums = aligned_alloc(64, squares(job->rows) * PANELS * SQUARE * sizeof(float));
        take_tiles(job->has_tiles);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t picture = 0; picture < job->pictures; picture++)
            for (int64_t panel = 0; panel < panels; panel += PANELS)
                multiply_panels(job, picture, panel, least(PANELS, panels - panel), sums);
        leave_tiles(job->has_tiles);
        free(sums);
    }
}

/* Sixteen rows of sixteen pairs of numbers become the lines of half a square: columns of pairs. */
static void turn(const uint16_t *from, int64_t row, int64_t rows, uint16_t *to) {
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i line[16];
    for (int r = 0; r < 16; r++)
        line[r] = r < rows ? _mm512_loadu_si512(from + r * row) : _mm512_setzero_si512();
    for (int apart = 1; apart < 16; apart *= 2) {
        const __mmask16 later = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(apart));
        const __m512i other = _mm512_add_epi32(lane, _mm512_set1_epi32(16));
        __m512i upper = _mm512_mask_sub_epi32(lane, later, other, _mm512_set1_epi32(apart));
        __m512i lower = _mm512_mask_add_epi32(other, (__mmask16)~later, lane,
                                              _mm512_set1_epi32(apart));
        for (int r = 0; r < 16; r++) {
            if (r & apart) continue;
            const __m512i x = line[r], y = line[r | apart];
            line[r] = _mm512_permutex2var_epi32(x, upper, y);
            line[r | apart] = _mm512_permutex2var_epi32(x, lower, y);
        }
    }
    for (int r = 0; r < 16; r++) _mm512_storeu_si512(to + r * SIDE, line[r]);
}

/* Thirty-two keys become the columns of the right side, and the values the pairs of its lines. */
static void lay_out(const uint16_t *k, const uint16_t *v, int64_t row, int64_t rows, int64_t width,
                    uint16_t *keys, uint16_t *values, int64_t panel) {
    const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    for (int64_t i = 0; i < width; i += SIDE) {
        for (int64_t half = 0; half < 2; half++)
            turn(k + half * 16 * row + i, row, rows - half * 16, keys + SIDE * i + half * SQUARE / 2);
        uint16_t *to = values + i / SIDE * panel;
        for (int64_t r = 0; r < SIDE; r += 2, to += SIDE) {
            const __m512i zero = _mm512_setzero_si512();
            __m512i first = r < rows ? _mm512_loadu_si512(v + r * row + i) : zero;
            __m512i second = r + 1 < rows ? _mm512_loadu_si512(v + (r + 1) * row + i) : zero;
            _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
            _mm512_storeu_si512(to + SQUARE / 2, _mm512_permutex2var_epi16(first, high, second));
        }
    }
}

typedef struct {
    uint16_t *keys, *values, *queries, *weights;
    float *scores, *sum;
} Room;

/* 2 ** x for what is rounded to bfloat16 next: four digits. */
INLINE __m512 short_power_of_two(__m512 x) {
    const float series[] = {5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.0f};
    __m512 whole = _mm512_roundscale_ps(x, 0), fraction = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 4; i++) y = _mm512_fmadd_ps(y, fraction, _mm512_set1_ps(series[i]));
    return _mm512_scalef_ps(y, whole);
}

INLINE __mmask16 seen(int64_t place, int64_t length) {
    return length - place >= 16 ? 0xffff : length <= place ? 0 : (1 << (length - place)) - 1;
}

/* Raises the largest scores of thirty-two queries to those of thirty-two more keys. */
static void raise_tops(const float *scores, int64_t length, __m512 *top) {
    const __mmask16 first = seen(0, length), second = seen(16, length);
    for (int r = 0; r < SIDE; r++, scores += SIDE) {
        top[r] = _mm512_mask_max_ps(top[r], first, top[r], _mm512_loadu_ps(scores));
        top[r] = _mm512_mask_max_ps(top[r], second, top[r], _mm512_loadu_ps(scores + 16));
    }
}

/* weights = 2 ** (factor * scores - top), which are added to the totals. */
static void soften(const float *scores, int64_t length, float factor, const __m512 *top,
                   uint16_t *weights, __m512 *total) {
    const __mmask16 first = seen(0, length), second = seen(16, length);
    const __m512 factors = _mm512_set1_ps(factor);
    for (int r = 0; r < SIDE; r++, scores += SIDE) {
        __m512 x = _mm512_fmsub_ps(_mm512_loadu_ps(scores), factors, top[r]);
        __m512 y = _mm512_fmsub_ps(_mm512_loadu_ps(scores + 16), factors, top[r]);
        x = _mm512_maskz_mov_ps(first, short_power_of_two(x));
        y = _mm512_maskz_mov_ps(second, short_power_of_two(y));
        total[r] = _mm512_add_ps(total[r], _mm512_add_ps(x, y));
        store_line(weights + r * SIDE, x, y);
    }
}

/* Thirty-two queries of a head, whose keys and values are laid out. */
static void attend_block(const PictureAttention *job, const uint16_t *q, int64_t start, Room room,
                         uint16_t *out) {
    const int64_t length = job->rows, blocks = squares(length), panels = job->width / SIDE;
    const int64_t row = 3 * job->heads * job->width;
    const float factor = job->scale * 1.44269504f;
    for (int64_t i = 0; i < job->width; i += SIDE)
        for (int64_t r = 0; r < least(SIDE, length - start); r++)
            memcpy(room.queries + (i + r) * SIDE, q + (start + r) * row + i, 2 * SIDE);
    __m512 top[SIDE], total[SIDE];
    for (int r = 0; r < SIDE; r++)
        top[r] = _mm512_set1_ps(-INFINITY), total[r] = _mm512_setzero_ps();
    for (int64_t block = 0; block < blocks; block++) {
        float *scores = room.scores + block * SQUARE;
        add_product(room.queries, room.keys + block * panels * SQUARE, panels, scores, 1,
                    job->has_tiles);
        raise_tops(scores, length - block * SIDE, top);
    }
    for (int r = 0; r < SIDE; r++) top[r] = _mm512_set1_ps(_mm512_reduce_max_ps(top[r]) * factor);
    for (int64_t block = 0; block < blocks; block++)
        soften(room.scores + block * SQUARE, length - block * SIDE, factor, top,
               room.weights + block * SQUARE, total);
    for (int r = 0; r < SIDE; r++) total[r] = _mm512_set1_ps(1 / _mm512_reduce_add_ps(total[r]));
    for (int64_t panel = 0; panel < panels; panel++, out += SQUARE) {
        add_product(room.weights, room.values + panel * blocks * SQUARE, blocks, room.sum, 1,
                    job->has_tiles);
        for (int64_t r = 0; r < SIDE; r++) {
            __m512 first = _mm512_loadu_ps(room.sum + r * SIDE);
            __m512 second = _mm512_loadu_ps(room.sum + r * SIDE + 16);
            store_line(out + r * SIDE, _mm512_mul_ps(first, total[r]),
                       _mm512_mul_ps(second, total[r]));
        }
    }
}

static void attend_head(const PictureAttention *job, int64_t picture, int64_t head, Room room) {
    const int64_t length = job->rows, width = job->width, whole = job->heads * width;
    const int64_t row = 3 * whole, blocks = squares(length), panels = width / SIDE;
    const uint16_t *q = job->qkv + picture * length * row + head * width;
    for (int64_t block = 0; block < blocks; block++) {
        const uint16_t *k = q + block * SIDE * row + whole;
        lay_out(k, k + whole, row, length - block * SIDE, width,
                room.keys + block * panels * SQUARE, room.values + block * SQUARE, blocks * SQUARE);
    }
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t place = (picture * blocks + block) * job->heads + head;
        attend_block(job, q, block * SIDE, room, job->out + place * panels * SQUARE);
    }
}

void janus_attend_pictures(const PictureAttention *job) {
    const int64_t length = squares(job->rows) * SIDE, width = job->width;
#pragma omp parallel num_threads(job->threads)
    {
        uint16_t *halves = aligned_alloc(64, 2 * (2 * length * width + SIDE * width + SIDE * length));
        float *singles = aligned_alloc(64, 4 * (SIDE * length + SQUARE));
        Room room = {halves, halves + length * width, halves + 2 * length * width,
                     halves + 2 * length * width + SIDE * width, singles,
                     singles + SIDE * length};
        memset(room.queries, 0, 2 * SIDE * width);
        take_tiles(job->has_tiles);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t picture = 0; picture < job->pictures; picture++)
            for (int64_t head = 0; head < job->heads; head++)
                attend_head(job, picture, head, room);
        leave_tiles(job->has_tiles);
        free(halves);
        free(singles);
    }
}

/* out = (x - mean) / deviation * weight + bias, in squares; rows that are no picture's are zero. */
static void normalize_row(const PictureNorm *job, int64_t picture, int64_t row) {
    const int64_t width = job->width, block = row / SIDE;
    uint16_t *out = job->out + (picture * squares(job->rows) + block) * SIDE * width +
                    row % SIDE * SIDE;
    if (row >= job->rows) {
        for (int64_t i = 0; i < width; i += SIDE) memset(out + i * SIDE, 0, 2 * SIDE);
        return;
    }
    const uint16_t *x = job->x + (picture * job->rows + row) * width;
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += 16) sum = _mm512_add_ps(sum, load(x, i, 1));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
    for (int64_t i = 0; i < width; i += 16) {
        __m512 apart = _mm512_sub_ps(load(x, i, 1), mean);
        squares = _mm512_fmadd_ps(apart, apart, squares);
    }
    const float variance = _mm512_reduce_add_ps(squares) / width;
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(variance + job->epsilon));
    for (int64_t i = 0; i < width; i += SIDE) {
        __m512 y[2];
        for (int h = 0; h < 2; h++) {
            const int64_t j = i + 16 * h;
            y[h] = _mm512_mul_ps(_mm512_sub_ps(load(x, j, 1), mean), factor);
            y[h] = _mm512_fmadd_ps(y[h], load(job->weight, j, 1), load(job->bias, j, 1));
        }
        store_line(out + i * SIDE, y[0], y[1]);
    }
}

void janus_normalize_pictures(const PictureNorm *job) {
#pragma omp parallel for collapse(2) num_threads(job->threads)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t row = 0; row < squares(job->rows) * SIDE; row++)
            normalize_row(job, picture, row);
}
