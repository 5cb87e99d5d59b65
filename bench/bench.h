/* SPDX-License-Identifier: Apache-2.0
 *
 * Sub-commands of stentor-bench: one row of bench_commands[] in main.c and one file each. Each
 * prints one line of JSON with --json, a table for a person otherwise, and returns the exit code:
 * 0 measured, 1 could not measure, 2 bad usage. Single-threaded; clocks, random streams and output
 * are allowed here. */
#ifndef STENTOR_BENCH_H
#define STENTOR_BENCH_H

/* argv[0] is the name of the sub-command. */
int bench_churn(int argc, char **argv);
int bench_flood(int argc, char **argv);
int bench_cost(int argc, char **argv);
int bench_rows(int argc, char **argv);
int bench_tcp(int argc, char **argv);
int bench_xml(int argc, char **argv);

#endif
