module conche.dev/conche

go 1.26
