// Gives the USB host that cameras are simulated on the link to a firmware node that a real host has from the device
// tree or from ACPI: libcamera makes a USB camera's name from its host's node, and passes by a camera that has none.

#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sysfs.h>

#define LINK_NAME "of_node"

static struct device *host;

static int __init fwnode_start(void)
{
	int error;

	host = bus_find_device_by_name(&platform_bus_type, NULL, "vhci_hcd.0");
	if (!host)
		return -ENODEV;
	// To itself: only the path that the link leads to is ever read.
	error = sysfs_create_link(&host->kobj, &host->kobj, LINK_NAME);
	if (error)
		put_device(host);
	return error;
}

static void __exit fwnode_stop(void)
{
	sysfs_remove_link(&host->kobj, LINK_NAME);
	put_device(host);
}

module_init(fwnode_start);
module_exit(fwnode_stop);
MODULE_DESCRIPTION("Firmware node for a simulated USB host");
MODULE_LICENSE("GPL");
