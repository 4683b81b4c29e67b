# bash-completion loads this file at the first Tab after the program of its name; xverse prints what completes it.
eval "$(xverse completion bash 2> /dev/null)"
