# SPDX-License-Identifier: MIT
"""What the end-to-end tests stand on: real parts (Azurite, the Azure SDK, rsyslogd), the daemon as
a process, and small observers. Nothing here knows the daemon's inside."""
