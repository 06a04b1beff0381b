/* SPDX-License-Identifier: Apache-2.0 */
/* 01_quantize.c - quantize a buffer on the CPU: FP32 to FP8 (E4M3), one
 * scale for each row.
 *
 * cc 01_quantize.c $(pkg-config --cflags --libs libquantbench) */
#include <quantbench.h>

#include <stdio.h>
#include <stdlib.h>

/* Stop with what the library says when a call fails. */
static void must(enum qb_status status)
{
    if (status != QB_OK) {
        fprintf(stderr, "%s: %s\n", qb_strerror(status),
                qb_error_detail());
        exit(1);
    }
}

int main(void)
{
    static const float input[2][4] = {{0.5f, -1, 2, 4},
                                      {100, -50, 25, 0}};
    uint8_t codes[2][4];
    float scales[2];
    struct qb_problem problem;
    struct qb_tensors tensors = QB_TENSORS(input, codes, scales);
    struct qb_device *device;
    struct qb_queue *queue;

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.output = QB_FORMAT_E4M3;
    problem.granularity = QB_GRANULARITY_TOKEN;
    problem.tokens = 2;
    problem.hidden = 4;

    must(qb_device_open(qb_backend_find("cpu"), 0, &device));
    must(qb_queue_create(device, &queue));
    must(qb_quantize(queue, &problem, &tensors));

    for (int row = 0; row < 2; row++) {
        printf("scale %-12g", (double)scales[row]);
        for (int col = 0; col < 4; col++) {
            printf(" 0x%02X = %-8g", codes[row][col],
                   (double)(qb_format_decode(QB_FORMAT_E4M3,
                                             codes[row][col]) *
                            scales[row]));
        }
        printf("\n");
    }

    qb_queue_destroy(queue);
    qb_device_close(device);
    return 0;
}
