// thread_waiting.h - how the model's threads wait for each other.
#pragma once

namespace prm_score {

// Makes libgomp's threads give up their processor soon when they wait for each other. By default they spin for
// milliseconds, which makes small models ten times slower on a machine that has other work too: a thread spins for one
// that is not running. With 1,000 turns a quiet machine is as fast as by default (measured on two cores).
//
// libgomp reads GOMP_SPINCOUNT when it is loaded, before main(): so this sets the variable and starts the program once
// more in the same process (0.2 s), unless the user has set it, or OMP_WAIT_POLICY. To be called first in main();
// returns if there is nothing to do or it cannot be done.
void shorten_thread_spinning(char** argv);

}  // namespace prm_score
