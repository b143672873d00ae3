"""The life of jobs and schedules as pure functions: no clock, no random source, no input or output.

`job` is the machine and the place to begin. `events` come in, `decide` says what happened as `facts`,
`evolve` folds a fact into the row, `effect` is what the world must now do. `admission` turns a request into
a job's specification, `retry` knows delays, `schedule` recurring requests, `records` what is written to
topics, and `status` what people are shown.
"""
