/* SPDX-License-Identifier: Apache-2.0 */
/* summary.h - what the quality of many tensors comes to: for each way to quantize, and for each tensor. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "report/describe.h"

/* A way to quantize, over all tensors that it was applied to. */
struct summary_way {
    const struct record_case *first; /* one that is quantized so */
    size_t tensors;                  /* rated ones; fewer than there are: bytes are not those of the model */
    double min, median, max;         /* SNR in dB; INFINITY: exact, NAN: there is none */
    double model;                    /* SNR of all tensors together: the energies are added; NAN: unknown */
    uint64_t bytes;                  /* of codes and scales */
};

/* The best way for a tensor. */
struct summary_choice {
    const struct record_tensor *tensor;
    const struct record_case *best;  /* NULL: none keeps the SNR, or none is rated */
    const struct record_case *rival; /* as good as that: it is undecided; NULL: there is none */
    double snr;                      /* the largest that counts, in dB */
    uint64_t bytes;                  /* the fewest that count */
};

struct summary {
    struct summary_way *ways;
    size_t way_count;
    struct summary_choice *choices; /* of each tensor, if the record has a rule for the best */
    size_t choice_count;
    size_t chosen;       /* of the choices: those with a best one */
    size_t undecided;    /* of these: those with a rival */
    uint64_t best_bytes; /* of these */
    double best_model;   /* SNR of these together */
    bool some_lack;      /* a way lacks some of the tensors */
    size_t tensors;      /* to be quantized */
    uint64_t elements;   /* of these */
    uint64_t bytes;      /* of these, as they are */
    size_t kept_tensors; /* that stay as they are */
    uint64_t kept_bytes;
    uint64_t best_kept_bytes; /* as they are: of tensors without a best one */
};

/* True if RECORD has several tensors, of which some are rated. */
bool summary_applies(const struct record *record);

/* Sum up RECORD; false if memory is short. Free SUMMARY either way. */
bool summary_make(const struct record *record, struct summary *summary);

/* The same for a table below several results. Returns false, and SUMMARY needs no freeing, if there is nothing to show,
 * or with a message if memory is short. */
bool summary_make_table(const struct record *record, struct summary *summary);
void summary_free(struct summary *summary);

/* The bytes of codes and scales of C. */
uint64_t summary_bytes(const struct record_case *c);

/* NUMBER in dB with two digits, or the word for what is none. Returns TEXT. */
#define SUMMARY_DECIBELS_SIZE 32
const char *summary_decibels(double number, char text[SUMMARY_DECIBELS_SIZE]);

/* "2 of 3" tensors; the MB of the model, and its share of the bytes now in percent, if TENSORS of them take BYTES: "-"
 * if that is not all. Return TEXT. */
#define SUMMARY_COUNT_SIZE 64
const char *summary_tensors(const struct summary *summary, size_t tensors, char text[SUMMARY_COUNT_SIZE]);
const char *summary_megabytes(const struct summary *summary, size_t tensors, uint64_t bytes,
                              char text[SUMMARY_COUNT_SIZE]);
const char *summary_share(const struct summary *summary, size_t tensors, uint64_t bytes, char text[SUMMARY_COUNT_SIZE]);

/* The rule of RECORD in words. Returns TEXT. */
const char *summary_rule(const struct record *record, char text[DESCRIBE_SIZE]);

#endif
