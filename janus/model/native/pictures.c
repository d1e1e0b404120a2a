/* Runs the steps of a vision transformer, by one team of threads that is woken once. */

#include <omp.h>

#include "pictures.h"

/* (x - mean) / deviation * weight + bias, for a row of a line of squares. */
static void normalize_row(const PictureStep *step, const uint16_t *x, uint16_t *y) {
    const int64_t width = step->inputs;
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += SIDE)
        for (int h = 0; h < SIDE; h += 16) sum = _mm512_add_ps(sum, load(x, i * SIDE + h, 1));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
    for (int64_t i = 0; i < width; i += SIDE)
        for (int h = 0; h < SIDE; h += 16) {
            __m512 apart = _mm512_sub_ps(load(x, i * SIDE + h, 1), mean);
            squares = _mm512_fmadd_ps(apart, apart, squares);
        }
    const float variance = _mm512_reduce_add_ps(squares) / width;
    const __m512 factor = _mm512_set1_ps(1 / sqrtf(variance + step->epsilon));
    for (int64_t i = 0; i < width; i += SIDE) {
        __m512 z[2];
        for (int h = 0; h < 2; h++) {
            const int64_t j = i + 16 * h;
            z[h] = _mm512_mul_ps(_mm512_sub_ps(load(x, i * SIDE + 16 * h, 1), mean), factor);
            z[h] = _mm512_fmadd_ps(z[h], load(step->weight, j, 1), load(step->bias, j, 1));
        }
        store_line(y + i * SIDE, z[0], z[1]);
    }
}

/* Rows that are no picture's become zeros. */
static void normalize_shared(const Pictures *job, const PictureStep *step) {
    const int64_t lines = squares(job->rows);
#pragma omp for collapse(2) schedule(static)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t line = 0; line < lines; line++) {
            const int64_t place = (picture * lines + line) * step->inputs * SIDE;
            const uint16_t *x = job->buffers[step->from] + place;
            uint16_t *y = job->buffers[step->to] + place;
            const int64_t rows = least(SIDE, job->rows - line * SIDE);
            if (rows < SIDE) memset(y, 0, step->inputs * SIDE * sizeof(uint16_t));
            for (int64_t r = 0; r < rows; r++) normalize_row(step, x + r * SIDE, y + r * SIDE);
        }
}

EXPORTED int64_t janus_room_for_pictures(const Pictures *job) {
    int64_t room = 0;
    for (int64_t i = 0; i < job->num_steps; i++) {
        const PictureStep *step = job->steps + i;
        int64_t bytes = 0;
        if (step->kind == ATTENTION)
            bytes = room_to_attend(job, step);
        else if (step->kind != NORM)
            bytes = room_to_multiply(job, step);
        if (bytes > room) room = bytes;
    }
    return (room + 63) / 64 * 64;
}

EXPORTED void janus_run_pictures(const Pictures *job) {
#pragma omp parallel num_threads(job->threads)
    {
        float *scratch = (float *)(job->scratch + omp_get_thread_num() * job->room);
        const unsigned mode = begin_squares(job->has_tiles);
        for (int64_t i = 0; i < job->num_steps; i++) {
            const PictureStep *step = job->steps + i;
            if (step->kind == NORM)
                normalize_shared(job, step);
            else if (step->kind == ATTENTION)
                attend_pictures_shared(job, step, scratch);
            else
                multiply_pictures_shared(job, step, scratch);
        }
        end_squares(mode, job->has_tiles);
    }
}
