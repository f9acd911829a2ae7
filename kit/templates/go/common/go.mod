module example.com/{{name}}

go 1.26

require conche.dev/conche v{{version}}

// `conche build` unpacks it there.
replace conche.dev/conche => ./.conche/sdk
