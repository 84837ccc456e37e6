// thread_waiting.h - how the model's threads wait for each other.
#pragma once

namespace prm_score {

// Makes libgomp's threads sleep at their barriers instead of spinning. Spinning threads are a little faster on a
// machine of one's own and ten times slower on one that has other work too, where a thread may spin for one that does
// not run.
//
// libgomp reads OMP_WAIT_POLICY when it is loaded, before main(): so this sets the variable and starts the program once
// more in the same process (about 0.1 s), unless the user has set it, or GOMP_SPINCOUNT. To be called first in main();
// returns if there is nothing to do or it cannot be done.
void wait_without_spinning(char** argv);

}  // namespace prm_score
