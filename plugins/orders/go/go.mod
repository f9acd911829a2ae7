module conche.dev/plugins/orders

go 1.26

require conche.dev/conche v0.1.0

replace conche.dev/conche => ./.conche/sdk
