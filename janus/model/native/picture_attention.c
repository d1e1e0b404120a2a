/* Attention of all patches of a picture to all of them. */

#include "pictures.h"
#include "square_attention.h"

static void attend_in_tiles(const Head *head, const Line *line) { attend_line(head, line, 1); }

static void attend_in_registers(const Head *head, const Line *line) { attend_line(head, line, 0); }

/* `from`: the queries of the first line; `whole` numbers are as many for all heads. */
static void lay_out(const Head *head, const uint16_t *from, int64_t whole, int64_t length) {
    for (int64_t i = 0; i < head->lines; i++)
        for (int64_t p = 0; p < head->panels; p++) {
            const uint16_t *keys = from + (3 * i + 1) * whole + p * SQUARE;
            const int64_t rows = length - i * SIDE;
            lay_out_keys(keys, SIDE, rows, head->keys + (i * head->panels + p) * SQUARE);
            lay_out_values(keys + whole, SIDE, rows,
                           head->values + (p * head->lines + i) * SQUARE);
        }
}

int64_t room_to_attend(const Pictures *job, const PictureStep *step) {
    return room_of_head(squares(job->rows), step->outputs / step->heads / SIDE);
}

void attend_pictures_shared(const Pictures *job, const PictureStep *step, float *scratch) {
    const int64_t lines = squares(job->rows), width = step->outputs / step->heads;
    const int64_t panels = width / SIDE, whole = step->outputs * SIDE;
    const Head head = head_in(scratch, lines, panels, 1 / sqrtf(width));
#pragma omp for collapse(2) schedule(dynamic)
    for (int64_t picture = 0; picture < job->pictures; picture++)
        for (int64_t h = 0; h < step->heads; h++) {
            const int64_t place = picture * lines * whole, column = h * panels * SQUARE;
            const uint16_t *from = job->buffers[step->from] + 3 * place + column;
            uint16_t *to = job->buffers[step->to] + place + column;
            lay_out(&head, from, whole, job->rows);
            for (int64_t i = 0; i < lines; i++) {
                const Line line = {.queries = from + 3 * i * whole,
                                   .out = to + i * whole,
                                   .seen = job->rows,
                                   .rows = SIDE,
                                   .width = SIDE,
                                   .panel = SQUARE};
                (job->has_tiles ? attend_in_tiles : attend_in_registers)(&head, &line);
            }
        }
}
