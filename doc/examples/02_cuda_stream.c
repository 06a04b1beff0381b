/* SPDX-License-Identifier: Apache-2.0 */
/* 02_cuda_stream.c - quantize a device buffer on a CUDA stream of one's
 * own: FP32 to INT8, one scale for each row. The call only puts work
 * into the stream, as a kernel launch does. Exit status 77 where there
 * is not a CUDA device.
 *
 * cc 02_cuda_stream.c $(pkg-config --cflags --libs libquantbench)
 * -lcudart */
#include <quantbench.h>

#include <cuda_runtime_api.h>

#include <stdio.h>
#include <stdlib.h>

static void must(enum qb_status status)
{
    if (status != QB_OK) {
        fprintf(stderr, "%s: %s\n", qb_strerror(status),
                qb_error_detail());
        exit(1);
    }
}

static void must_cuda(cudaError_t error)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "%s\n", cudaGetErrorString(error));
        exit(1);
    }
}

int main(void)
{
    static const float input[2][4] = {{0.5f, -1, 2, 4},
                                      {100, -50, 25, 0}};
    const struct qb_backend *cuda = qb_backend_find("cuda");
    struct qb_problem problem;
    struct qb_tensors tensors;
    struct qb_device *device;
    struct qb_queue *queue;
    cudaStream_t stream;
    void *device_input, *device_codes, *device_scales;
    int8_t codes[2][4];
    float scales[2];
    int count;

    if (cuda == NULL ||
        qb_backend_device_count(cuda, &count) != QB_OK) {
        fprintf(stderr, "no CUDA device: %s\n",
                cuda == NULL ? qb_backend_why_not("cuda")
                             : qb_error_detail());
        return 77;
    }
    must_cuda(cudaSetDevice(0));
    must_cuda(cudaStreamCreate(&stream));
    must_cuda(cudaMalloc(&device_input, sizeof input));
    must_cuda(cudaMalloc(&device_codes, sizeof codes));
    must_cuda(cudaMalloc(&device_scales, sizeof scales));
    must_cuda(cudaMemcpyAsync(device_input, input, sizeof input,
                              cudaMemcpyHostToDevice, stream));

    qb_problem_init(&problem);
    problem.input = QB_FORMAT_F32;
    problem.output = QB_FORMAT_INT8;
    problem.granularity = QB_GRANULARITY_TOKEN;
    problem.tokens = 2;
    problem.hidden = 4;
    tensors = (struct qb_tensors)QB_TENSORS(device_input, device_codes,
                                            device_scales);

    must(qb_device_open(cuda, 0, &device));
    must(qb_queue_wrap(device, stream, &queue));
    must(qb_quantize(queue, &problem, &tensors));

    must_cuda(cudaMemcpyAsync(codes, device_codes, sizeof codes,
                              cudaMemcpyDeviceToHost, stream));
    must_cuda(cudaMemcpyAsync(scales, device_scales, sizeof scales,
                              cudaMemcpyDeviceToHost, stream));
    must_cuda(cudaStreamSynchronize(stream));
    for (int row = 0; row < 2; row++) {
        printf("scale %-12g", (double)scales[row]);
        for (int col = 0; col < 4; col++) {
            printf(" %4d", codes[row][col]);
        }
        printf("\n");
    }

    qb_queue_destroy(queue);
    qb_device_close(device);
    must_cuda(cudaFree(device_input));
    must_cuda(cudaFree(device_codes));
    must_cuda(cudaFree(device_scales));
    must_cuda(cudaStreamDestroy(stream));
    return 0;
}
