"""What makes a file that trains for fidelity one of two stages, the second of which is a GAN."""

STEPS = 200_000
RATE_FACTOR = 0.2
"""Of the learning rate of the first stage: the network is trained already."""
MOST_RATE = 1e-4
"""Larger ones make a generator run away from its discriminator."""


def gan_stages(rate: float, steps: int = STEPS, quiet: bool = False) -> str:
    """Return the section `stages` for a file whose other sections train for fidelity.

    Args:
        rate: learning rate of the first stage.
        steps: iterations of the GAN stage.
        quiet: whether the file has automations: those that watch PSNR, which falls in a GAN stage, or move loss
            weights are off there.
    """
    lowered = f"{min(rate * RATE_FACTOR, MOST_RATE):.3g}".replace("e-0", "e-")
    text = STAGES.format(steps=steps, rate=lowered, half=steps // 2, quarter=steps * 3 // 4)
    return text + (QUIET if quiet else "")


STAGES = """\
stages:  # trained one after the other, each in a folder below that of the run
  - name: fidelity  # as above

  - name: gan  # what differs from above; docs/gan.md
    start_from: best  # weights of the stage before, by the first metric
    network_d:
      type: unetdiscriminatorsn  # judges every pixel
    train:
      total_iter: {steps}
      warmup_iter: 0
      optim_g:
        lr: {rate}
      optim_d:
        type: AdamW
        lr: 1e-4
        betas: [0.9, 0.99]
        weight_decay: 0
      scheduler:
        type: MultiStepLR
        milestones: [{half}, {quarter}]
        gamma: 0.5
      scheduler_d:
        type: MultiStepLR
        milestones: [{half}, {quarter}]
        gamma: 0.5
      losses:
        - type: L1Loss  # holds colors and shapes
          loss_weight: 1.0
        - type: PerceptualLoss  # fetches the weights of VGG19 once, 550 MB; `weights` names a copy
          loss_weight: 1.0
          criterion: l1
          layer_weights: {{conv1_2: 0.1, conv2_2: 0.1, conv3_4: 1, conv4_4: 1, conv5_4: 1}}
        - type: GANLoss
          gan_type: vanilla
          loss_weight: 0.1  # by the log: share/ganloss is to be 5 to 50 %
"""
QUIET = """\
      training_automations:  # these watch PSNR, which falls from the first step of a GAN on
        IntelligentLearningRateScheduler:
          enabled: false
        IntelligentEarlyStopping:
          enabled: false
      dynamic_loss_scheduling:  # would change what ganloss weighs
        enabled: false
"""
