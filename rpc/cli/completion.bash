# bash-completion loads this file at the first Tab after `xverse` or `xversed`; the program prints what completes them.
eval "$(xverse completion bash 2> /dev/null)"
