/* Products of whole pictures. */

#include "pictures.h"

/* How much stays in which cache. A tile that is stored more than 0.8 us after the last one costs
 * 0.25 us more, as measured on a Sapphire Rapids: sums are kept more often than that. */
#define STEPS 16 /* squares on the left, in L1 */
#define PANELS 8 /* squares side by side on the right, in L2 */
#define DEEP 32  /* squares of a sum for which those stay there */

/* A square of sums that is there, and what becomes of it. */
typedef struct {
    const float *sums;
    const uint16_t *bias;
    uint16_t *to;
    int kind;
} Ready;

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

INLINE void finish_row(const Ready *ready, int64_t row) {
    const float *sums = ready->sums + row * SIDE;
    uint16_t *to = ready->to + row * SIDE;
    __m512 first = _mm512_add_ps(_mm512_loadu_ps(sums), load(ready->bias, 0, 1));
    __m512 second = _mm512_add_ps(_mm512_loadu_ps(sums + 16), load(ready->bias, 16, 1));
    if (ready->kind == SUM) {
        first = _mm512_add_ps(first, load(to, 0, 1));
        second = _mm512_add_ps(second, load(to, 16, 1));
    } else if (ready->kind == GELU) {
        first = gelu(first);
        second = gelu(second);
    }
    store_line(to, first, second);
}

static void finish(Ready *ready) {
    if (ready->sums)
        for (int64_t row = 0; row < SIDE; row++) finish_row(ready, row);
    ready->sums = NULL;
}

/* Adds `steps` squares to the sums. What is ready is finished meanwhile: tiles leave the other
 * registers idle. */
static void add_tiles(const uint16_t *left, const uint16_t *right, int64_t steps, float *sums,
                      int fresh, Ready *ready) {
    take_sums(sums, fresh);
    int64_t row = ready->sums ? 0 : SIDE, rows = (SIDE + steps - 1) / steps;
    for (int64_t k = 0; k < steps; k++) {
        add_square(left + k * SQUARE, right + k * SQUARE);
        for (int64_t end = least(SIDE, row + rows); row < end; row++) finish_row(ready, row);
    }
    ready->sums = NULL;
    keep_sums(sums);
}

static void add_product(const uint16_t *left, const uint16_t *right, int64_t steps, float *sums,
                        int fresh, Ready *ready, int has_tiles) {
    if (has_tiles) {
        add_tiles(left, right, steps, sums, fresh, ready);
    } else {
        finish(ready);
        add_registers(left, right, steps, sums, fresh);
    }
}

/* A line of squares of a picture, and `panels` of squares side by side: adds up those from `part`
 * on. */
static void multiply_line(const Pictures *job, const PictureStep *step, int64_t line, int64_t panel,
                          int64_t panels, int64_t part, float *sums, Ready *ready) {
    const int64_t depth = step->inputs / SIDE, end = least(part + DEEP, depth);
    const uint16_t *left = job->buffers[step->from] + line * depth * SQUARE;
    uint16_t *to = job->buffers[step->to] + line * step->outputs * SIDE;
    for (int64_t k = part; k < end; k += STEPS)
        for (int64_t p = panel; p < panel + panels; p++) {
            const int64_t steps = least(STEPS, end - k);
            float *square = sums + (p - panel) * SQUARE;
            add_product(left + k * SQUARE, step->weight + (p * depth + k) * SQUARE, steps, square,
                        k == 0, ready, job->has_tiles);
            if (k + steps == depth)
                *ready = (Ready){square, step->bias + p * SIDE, to + p * SQUARE, step->kind};
        }
}

int64_t room_to_multiply(const Pictures *job, const PictureStep *step) {
    const int64_t lines = step->inputs > DEEP * SIDE ? squares(job->rows) : 1;
    return lines * PANELS * SQUARE * sizeof(float);
}

/* A sum of more than DEEP squares is added up in parts, each of them for all lines. */
void multiply_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch) {
    const int64_t depth = step->inputs / SIDE, width = step->outputs / SIDE;
    const int64_t lines = squares(job->rows), groups = (width + PANELS - 1) / PANELS;
    /* Work for all threads, twice, where there are that many lines. */
    const int64_t pieces = least(lines, 1 + (2 * job->threads - 1) / (job->pictures * groups));
    const int64_t lines_a_piece = (lines + pieces - 1) / pieces;
#pragma omp for collapse(3) schedule(dynamic)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t panel = 0; panel < width; panel += PANELS)
            for (int64_t first = 0; first < lines; first += lines_a_piece) {
                Ready ready = {NULL};
                for (int64_t part = 0; part < depth; part += DEEP)
                    for (int64_t i = 0; i < least(lines_a_piece, lines - first); i++)
                        multiply_line(job, step, picture * lines + first + i, panel,
                                      least(PANELS, width - panel), part,
                                      scratch + (depth > DEEP ? i : 0) * PANELS * SQUARE, &ready);
                finish(&ready);
            }
}
