"""``edge-agent`` on a computer whose Edge TPU is the test's, and looked for more often.

``python -m tests.edge_tpu.run_agent SYSFS ARGUMENTS …``
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_agent.cli.app import main
from edge_agent.inference.edgetpu import devices, edge_tpu

if __name__ == "__main__":
    devices.SYSFS = Path(sys.argv.pop(1))
    edge_tpu.LOOK_INTERVAL_S = 0.1
    main()
