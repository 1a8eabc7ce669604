"""Reads exported folders as users of transformers do, and says what it read.

usage: read-with-transformers.py IDS FOLDER...

IDS: token ids with commas. Of each folder, FOLDER-read gets all weights as compressed-tensors unpacked them (model.safetensors,
float32) and logits.bin: float32, a row of logits after each id.
"""

import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ids = [int(word) for word in sys.argv[1].split(",")]
for folder in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        # The first forward pass unpacks the weights.
        logits = model(torch.tensor([ids])).logits[0]
    skipped = ("_scale", "_shape") + (("lm_head.weight",) if model.config.tie_word_embeddings else ())
    weights = {name: value for name, value in model.state_dict().items() if not name.endswith(skipped)}
    os.mkdir(f"{folder}-read")
    save_file({name: value.contiguous() for name, value in weights.items()}, f"{folder}-read/model.safetensors")
    logits.numpy().tofile(f"{folder}-read/logits.bin")
