//! A component of a world that is not ours: it exports `greet` and nothing that the host knows.
#![allow(unsafe_code, clippy::allow_attributes, reason = "generated exports")]

wit_bindgen::generate!({
    inline: "
        package odd:one;
        world odd { export greet: func(name: string) -> string; }
    ",
});

struct Odd;

impl Guest for Odd {
    fn greet(name: String) -> String {
        format!("Hello, {name}!")
    }
}

export!(Odd);
