/* Norms and products of whole pictures, for a vision transformer. */

#include "squares.h"

#define STEPS 8   /* squares of a sum that are added up while the left ones stay in the L1 cache */
#define PANELS 8  /* squares side by side */
#define DEEP 32   /* squares of a sum: those of so many side by side stay in the L2 cache */

typedef struct {
    const uint16_t *left, *right, *bias; /* squares */
    const uint16_t *residual;            /* added to the result, [pictures, rows, columns], or 0 */
    uint16_t *out;                       /* [pictures, rows, columns], or squares of gelu(result) */
    int64_t pictures, rows, depth, columns;
    int has_gelu, has_tiles, threads;
} PictureProduct;

typedef struct {
    const uint16_t *x, *weight, *bias;
    uint16_t *out; /* squares */
    int64_t pictures, rows, width;
    float epsilon;
    int threads;
} PictureNorm;

/* x * (1 + erf(x / sqrt 2)) / 2 for what is rounded to bfloat16 next, the tail by formula 7.1.26 of
 * Abramowitz and Stegun. */
INLINE __m512 gelu(__m512 x) {
    const float series[] = {1.061405429f, -1.453152027f, 1.421413741f, -0.284496736f,
                            0.254829592f};
    const __m512 one = _mm512_set1_ps(1), size = _mm512_abs_ps(x);
    __m512 t = _mm512_fmadd_ps(size, _mm512_set1_ps(0.3275911f * 0.70710678f), one);
    t = _mm512_rcp14_ps(t); /* four digits, too */
    __m512 y = _mm512_set1_ps(series[0]);
    for (int i = 1; i < 5; i++) y = _mm512_fmadd_ps(y, t, _mm512_set1_ps(series[i]));
    __m512 square = _mm512_mul_ps(x, x);
    __m512 power = short_power_of_two(_mm512_mul_ps(square, _mm512_set1_ps(-0.72134752f)));
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

EXPORTED void janus_multiply_pictures(const PictureProduct *job) {
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

EXPORTED void janus_normalize_pictures(const PictureNorm *job) {
#pragma omp parallel for collapse(2) num_threads(job->threads)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t row = 0; row < squares(job->rows) * SIDE; row++)
            normalize_row(job, picture, row);
}
