"""The generator that notebook 04 loads: a conditional GAN, five minutes of processor time.

1,200 phantoms at 48 x 48 pixels, speckle removed, class and radius as the condition. Writes
``generator.npz`` beside itself: the weights of the averaged generator in 16 bits, no code and no
pickle, and four images of fixed noise after some of the epochs. The table has the SHA-256.
"""

import hashlib
import time
from pathlib import Path

import numpy as np
from table import record

import mednb
from mednb import generation, simulate
from mednb.models.gan import LATENT, conditional_gan

RESULT = Path(__file__).with_name("generator.npz")
EPOCHS = 112
#: Epochs after which the four images are kept.
SEEN = (0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 55, 80, 112)


def main() -> None:
    """Train the generator; write its weights, and the table."""
    mednb.setup(seed=0)
    phantoms = simulate.lesions(1200, seed=4000, size=96, views=1)
    images = generation.despeckled(phantoms.images)
    radius = phantoms.targets["radius_mm"]
    # Normal tissue has no radius, and 0 would be far from all others: it gets the mean.
    mean, sd = radius[radius > 0].mean(), radius[radius > 0].std()
    asked = np.where(radius > 0, radius, mean)
    model = conditional_gan(images.shape[1:], 3, values=[(mean, sd)], seed=0)
    columns = model.columns(images, phantoms.labels, asked)
    z = np.random.default_rng(1).standard_normal((4, LATENT))
    about = {"values": [mean + sd, mean, mean, mean + sd], "z": z}
    film, start = [model.sample([1, 2, 1, 2], **about)], time.process_time()
    for epoch in range(1, EPOCHS + 1):
        order = np.random.default_rng([0, epoch]).permutation(len(images))
        shown = {name: column[order] for name, column in columns.items()}
        losses = model.fit(shown, batch_size=32, shuffle=False, verbose=0).history
        if epoch in SEEN:
            film.append(model.sample([1, 2, 1, 2], **about))
            print(epoch, {k: round(v[0], 3) for k, v in losses.items()}, flush=True)
    seconds = time.process_time() - start
    weights = {
        f"w{i:02d}": w.astype(np.float16) for i, w in enumerate(model.averaged.get_weights())
    }
    about = {"film": np.stack(film), "epochs": np.array(SEEN), "radius": np.array([mean, sd])}
    np.savez_compressed(RESULT, **weights, **about)
    written = RESULT.read_bytes()
    row = {
        "updates": EPOCHS * -(-len(images) // 32),
        "processor time (s)": round(seconds),
        "parameters": model.averaged.count_params(),
        "file (kB)": len(written) // 1000,
        "SHA-256": hashlib.sha256(written).hexdigest(),
    }
    record("generator", [row], note="1,200 phantoms at 48 x 48 pixels, batches of 32, one run.")


if __name__ == "__main__":
    main()
