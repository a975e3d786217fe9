"""A labeling process that ends soon after its job, by the environment variable of its name: ``idle`` or ``memory``."""

import os
import sys

from VertebraLabelingLib.background import job_queue, labeling_process

job_queue.LOOK_SECONDS = 2.0  # the first job comes within
if os.environ["IMPATIENT_PROCESS"] == "idle":
    job_queue.IDLE_SECONDS = 1.0
else:
    job_queue.free_memory = lambda: job_queue.LEAST_FREE_BYTES - 1
sys.exit(labeling_process.main())
