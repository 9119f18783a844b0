"""From an uploaded order file to a published page, step by step, in a process of its own.

upload_job.py   what is known of one upload: which step, how far, what went wrong
job_folder.py   the folder that keeps them, changed by one process at a time
extra_files.py  what goes with the orders, refused as it comes if it cannot be used
job_steps.py    check, train and compare, publish: what the commands call, told as it goes
job_worker.py   the one process that works, and who starts it again when it was killed
"""
