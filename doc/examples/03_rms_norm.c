/* SPDX-License-Identifier: Apache-2.0 */
/* 03_rms_norm.c - what a layer of a transformer does between two
 * matrix multiplications: add the residual, RMSNorm, and quantize to
 * FP8 with one scale for each token, in one launch; then dequantize to
 * look at it.
 *
 * cc 03_rms_norm.c $(pkg-config --cflags --libs libquantbench) */
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

static void print(const char *what, const float *row)
{
    printf("%-10s", what);
    for (int col = 0; col < 4; col++) {
        printf(" %8.4f", (double)row[col]);
    }
    printf("\n");
}

int main(void)
{
    float input[2][4] = {{1, 2, -1, 0.5f}, {8, -4, 0, 2}};
    float residual[2][4] = {{0, 1, 2, -0.5f}, {-7, 4, 1, 0}};
    float weights[4] = {1, 1, 0.5f, 2};
    float scales[2], values[2][4];
    uint8_t codes[2][4];
    struct qb_tensors tensors = QB_TENSORS(input, codes, scales);
    struct qb_problem problem;
    struct qb_device *device;
    struct qb_queue *queue;

    must(qb_device_open(qb_backend_find("cpu"), 0, &device));
    must(qb_queue_create(device, &queue));
    qb_problem_init(&problem);
    problem.operation = QB_OPERATION_ADD_RMS_NORM;
    problem.input = QB_FORMAT_F32;
    problem.output = QB_FORMAT_E4M3;
    problem.granularity = QB_GRANULARITY_TOKEN;
    problem.tokens = 2;
    problem.hidden = 4;
    problem.epsilon = 1e-6f;
    tensors.at[QB_ROLE_WEIGHTS] = weights;
    tensors.at[QB_ROLE_RESIDUAL] = residual;
    tensors.at[QB_ROLE_SUM] = residual; /* in its place */
    must(qb_quantize(queue, &problem, &tensors));

    /* The same problem, read the other way. */
    problem.operation = QB_OPERATION_DEQUANTIZE;
    problem.scaling = QB_SCALING_STATIC;
    tensors.at[QB_ROLE_VALUES] = values;
    must(qb_quantize(queue, &problem, &tensors));

    for (int row = 0; row < 2; row++) {
        print("residual", residual[row]);
        print("normed", values[row]);
        printf("codes        ");
        for (int col = 0; col < 4; col++) {
            printf("   0x%02X  ", codes[row][col]);
        }
        printf(" scale %g\n", (double)scales[row]);
    }
    qb_queue_destroy(queue);
    qb_device_close(device);
    return 0;
}
