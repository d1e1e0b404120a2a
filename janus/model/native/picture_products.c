/* Products of whole pictures. */

#include "pictures.h"

/* How much stays in which cache. A tile that is stored more than 0.8 us after the last one costs
 * 0.25 us more, as measured on a Sapphire Rapids: sums are kept more often than that. */
#define STEPS 16 /* squares on the left, in L1 */
#define PANELS 8 /* squares side by side on the right, in L2 */
#define DEEP 32  /* squares of a sum for which those stay there */

INLINE int64_t groups(const PictureStep *step) {
    return (step->outputs / SIDE + PANELS - 1) / PANELS;
}

/* A square of sums that is there, or no rows of one, and what becomes of it. */
typedef struct {
    __m512 bias[2];
    const float *sums;
    uint16_t *to;
    int64_t rows;
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
    __m512 first = _mm512_add_ps(_mm512_loadu_ps(sums), ready->bias[0]);
    __m512 second = _mm512_add_ps(_mm512_loadu_ps(sums + 16), ready->bias[1]);
    if (ready->kind == SUM) {
        first = _mm512_add_ps(first, load(to, 0, 1));
        second = _mm512_add_ps(second, load(to, 16, 1));
    } else if (ready->kind == GELU) {
        first = gelu(first);
        second = gelu(second);
    }
    store_line(to, first, second);
}

/* Some squares of a sum, and what will be needed later: it is asked for meanwhile, a few lines of 64
 * bytes with each square. */
typedef struct {
    const uint16_t *left, *right, *later_left, *later_right;
    float *sums;
    int64_t steps, left_lines, right_lines;
    int is_first;
} Part;

INLINE void ask(const Part *part, int64_t k) {
    const uint16_t *left = part->later_left + k * part->left_lines * SIDE;
    const uint16_t *right = part->later_right + k * part->right_lines * SIDE;
    for (int64_t i = 0; i < part->left_lines; i++) _mm_prefetch(left + i * SIDE, _MM_HINT_T1);
    for (int64_t i = 0; i < part->right_lines; i++) _mm_prefetch(right + i * SIDE, _MM_HINT_T1);
}

/* What is ready is finished beside it, since tiles leave the other registers idle; or before, as its
 * sums may lie where the new ones do. */
INLINE void add_part(const Part *part, const Ready *ready, const int has_tiles) {
    const int64_t rows = (ready->rows + part->steps - 1) / part->steps;
    int64_t row = 0;
    for (; !has_tiles && row < ready->rows; row++) finish_row(ready, row);
    take_sums(part->sums, part->is_first, has_tiles);
    for (int64_t k = 0; k < part->steps; k++) {
        add_square(part->left + k * SQUARE, part->right + k * SQUARE, part->sums, has_tiles);
        ask(part, k);
        for (int64_t end = least(ready->rows, row + rows); row < end; row++)
            finish_row(ready, row);
    }
    keep_sums(part->sums, has_tiles);
}

static void add_in_tiles(const Part *part, const Ready *ready) { add_part(part, ready, 1); }

static void add_in_registers(const Part *part, const Ready *ready) { add_part(part, ready, 0); }

/* At most PANELS side by side and DEEP of each sum. */
typedef struct {
    const uint16_t *first;
    int64_t panels, depth; /* squares from one panel to the next */
} Weights;

static Weights weights_from(const PictureStep *step, int64_t panel, int64_t start) {
    const int64_t depth = step->inputs / SIDE, panels = step->outputs / SIDE - panel;
    return (Weights){step->weight + (panel * depth + start) * SQUARE, least(PANELS, panels), depth};
}

/* What a thread needs after those, as far as can be told. */
static Weights weights_after(const Pictures *job, const PictureStep *step, int64_t panel,
                             int64_t start) {
    if (start + DEEP < step->inputs / SIDE) return weights_from(step, panel, start + DEEP);
    panel += PANELS * job->threads;
    while (panel >= step->outputs / SIDE) {
        panel -= groups(step) * PANELS;
        do
            if (++step == job->steps + job->num_steps) return (Weights){NULL, 0, 0};
        while (step->kind == NORM || step->kind == ATTENTION);
    }
    return weights_from(step, panel, 0);
}

/* Lines of squares of a picture. */
typedef struct {
    const uint16_t *left, *bias;
    uint16_t *to;
    int64_t lines, depth, width;
    int has_tiles;
} Piece;

/* Of the sums of a line and panel p, from place k on. The next line's left squares are asked for in
 * turn by all panels of this one, and later right ones by all lines. */
static Part part_of(const Piece *piece, const Weights *weights, const Weights *later, int64_t line,
                    int64_t p, int64_t k, int64_t steps) {
    const int64_t left_lines = 32 / weights->panels;
    const int64_t right_lines = (31 + piece->lines) / piece->lines;
    const uint16_t *left = piece->left + (line * piece->depth + k) * SQUARE;
    Part part = {.left = left,
                 .right = weights->first + (p * weights->depth + k % DEEP) * SQUARE,
                 .steps = steps,
                 .is_first = k == 0};
    if (line + 1 < piece->lines) {
        part.later_left = left + piece->depth * SQUARE + p * steps * left_lines * SIDE;
        part.left_lines = left_lines;
    }
    if (p < later->panels && line * right_lines < 32) {
        part.later_right = later->first + (p * later->depth + k % DEEP) * SQUARE +
                           line * steps * right_lines * SIDE;
        part.right_lines = right_lines;
    }
    return part;
}

/* Adds up to DEEP squares to each sum, from place `start` on. */
static void multiply_part(const Piece *piece, Weights weights, Weights later, int64_t start,
                          float *sums, Ready *ready) {
    const int64_t depth = piece->depth, end = least(start + DEEP, depth);
    for (int64_t line = 0; line < piece->lines; line++)
        for (int64_t k = start; k < end; k += STEPS)
            for (int64_t p = 0; p < weights.panels; p++) {
                const int64_t steps = least(STEPS, end - k);
                Part part = part_of(piece, &weights, &later, line, p, k, steps);
                part.sums = sums + ((depth > DEEP ? line * PANELS : 0) + p) * SQUARE;
                (piece->has_tiles ? add_in_tiles : add_in_registers)(&part, ready);
                ready->rows = 0;
                if (k + steps < depth) continue;
                ready->bias[0] = load(piece->bias, p * SIDE, 1);
                ready->bias[1] = load(piece->bias, p * SIDE + 16, 1);
                ready->sums = part.sums;
                ready->to = piece->to + (line * piece->width + p) * SQUARE;
                ready->rows = SIDE;
            }
}

int64_t room_to_multiply(const Pictures *job, const PictureStep *step) {
    const int64_t lines = step->inputs > DEEP * SIDE ? squares(job->rows) : 1;
    return lines * PANELS * SQUARE * sizeof(float);
}

/* A sum of more than DEEP squares is added up in parts, each of them for all lines. */
void multiply_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch) {
    const int64_t depth = step->inputs / SIDE, width = step->outputs / SIDE;
    const int64_t lines = squares(job->rows), all = job->pictures * groups(step);
    /* Work for all threads, twice, where there are that many lines. */
    const int64_t pieces = least(lines, (2 * job->threads + all - 1) / all);
    const int64_t length = (lines + pieces - 1) / pieces;
#pragma omp for collapse(3) schedule(dynamic)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t panel = 0; panel < width; panel += PANELS)
            for (int64_t line = 0; line < lines; line += length) {
                const int64_t place = picture * lines + line;
                const Piece piece = {
                    .left = job->buffers[step->from] + place * depth * SQUARE,
                    .bias = step->bias + panel * SIDE,
                    .to = job->buffers[step->to] + (place * width + panel) * SQUARE,
                    .lines = least(length, lines - line),
                    .depth = depth,
                    .width = width,
                    .has_tiles = job->has_tiles,
                };
                Ready ready = {.kind = step->kind};
                for (int64_t start = 0; start < depth; start += DEEP)
                    multiply_part(&piece, weights_from(step, panel, start),
                                  weights_after(job, step, panel, start), start, scratch, &ready);
                for (int64_t row = 0; row < ready.rows; row++) finish_row(&ready, row);
            }
}
