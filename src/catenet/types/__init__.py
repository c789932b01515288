"""The vocabulary: errors, ports, events, effects, messages, records. Pure; below every room but `chain`.

Glossary, one word per thing:

- **transaction** (`tx`): opaque bytes of a client. Its **id** is their sha256.
- **batch**: a numbered run of transactions of one **author**, for all validators. Its **digest** names it.
- **manifest**: how a block is put together from batches, in segments `Ref`, `Pick`, `Inline`.
- **compact** block: header, last commit, evidence, manifest; **raw** block: all of its proto bytes.
- **height**: number of a block, from 1. **round**: attempt to decide a height, from 0.
- **polka**: prevotes of more than two thirds for one id, or all nil. **commit**: the same of precommits.
- **final**: decided, executed, and committed by the application here.
- **ticket**: one submission of a client. **level**: ACCEPTED, REPLICATED or COMMITTED.
- **record**: what the journal keeps. **event** in, **effect** out: the core's whole interface.
"""
