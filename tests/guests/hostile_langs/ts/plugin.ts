// What a plugin should not do, and a host must survive.
import { event, query } from "@conche/guest";

query("cyverse.hostile.Throw", fail);

event("org.cyverse.events.hostile.Throw", fail);

function fail(): never {
  throw new Error("thrown on purpose");
}

query("cyverse.hostile.Loop", function loop(): never {
  for (;;);
});

query("cyverse.hostile.Allocate", function allocate(): never {
  const kept: Uint8Array[] = [];
  for (;;) kept.push(new Uint8Array(65536).fill(1));
});

query("cyverse.hostile.Fine", function fine() {
  return { ok: true };
});
