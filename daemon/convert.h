/* convert.h - xversed --convert, which xverse convert runs: a model in another class of numbers. */
#ifndef DAEMON_CONVERT_H
#define DAEMON_CONVERT_H

/* argv: IN OUT [--quantization CLASS] [--max-shard-size BYTES, such as 5G] [--quiet]. Returns the exit code. */
int convert_main(int argc, char **argv);

#endif
