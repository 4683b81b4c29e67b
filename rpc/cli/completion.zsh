#compdef xverse xversed xverse-launch xverse-gateway
# zsh loads this file at the first Tab after one of these programs; xverse prints what completes them.
eval "$(xverse completion zsh 2> /dev/null)"
_xverse_programs "$@"
