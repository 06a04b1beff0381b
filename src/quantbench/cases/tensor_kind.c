/* SPDX-License-Identifier: Apache-2.0 */
/* tensor_kind.c - see tensor_kind.h. */
#include "cases/tensor_kind.h"

#include <string.h>

/* A member of struct kind for the bytes of a literal, some of which may be zero. */
#define BYTES(literal) literal, sizeof literal - 1

static const struct kind {
    const char *bytes; /* at the beginning */
    size_t size;
    const char *text;
} kinds[] = {
    {BYTES("version https://git-lfs.github.com/spec/"),
     "is a Git LFS pointer, which stands for a file that was not downloaded; get the file with \"git lfs pull\""},
    {BYTES("PK\3\4"), "is a zip archive, such as .npz or .pt; expected a NumPy .npy or a safetensors file"},
    {BYTES("\x1f\x8b"), "is compressed with gzip; unpack it with \"gzip -d\""},
    {BYTES("GGUF"), "is a GGUF file; expected a NumPy .npy or a safetensors file"},
    {BYTES("\x89HDF\r\n"), "is an HDF5 file; expected a NumPy .npy or a safetensors file"},
    {BYTES("\x80\x02"), "is a Python pickle, such as .pt or .bin; save the tensor as safetensors"},
    {BYTES("\x80\x04"), "is a Python pickle, such as .pkl; save the tensor as safetensors"},
    {BYTES("<!DOCTYPE"), "is a web page, such as that of a failed download; download the file again"},
    {BYTES("<!doctype"), "is a web page, such as that of a failed download; download the file again"},
    {BYTES("<html"), "is a web page, such as that of a failed download; download the file again"},
};

/* A safetensors file begins with the length of its header, a number of eight bytes; two or four of them that are small
 * could be those of a short mark. */
static bool is_length(const char *start, size_t size)
{
    return size > 8 && start[5] == 0 && start[6] == 0 && start[7] == 0 && start[8] == '{';
}

const char *tensor_kind_text(const char *start, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && !is_length(start, size); i++) {
        if (size >= kinds[i].size && memcmp(start, kinds[i].bytes, kinds[i].size) == 0) {
            return kinds[i].text;
        }
    }
    return NULL;
}

bool tensor_kind_is_index(const char *start, size_t size)
{
    static const char member[] = "\"weight_map\"";
    size_t first = 0;

    while (first < size && strchr(" \t\r\n", start[first]) != NULL && start[first] != '\0') {
        first++;
    }
    if (first == size || start[first] != '{') {
        return false;
    }
    for (size_t i = first; i + sizeof member - 1 <= size; i++) {
        if (memcmp(start + i, member, sizeof member - 1) == 0) {
            return !is_length(start, size);
        }
    }
    return false;
}
