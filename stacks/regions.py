"""Names of regions. A new one is one word here; until then a stack that names it is refused as misspelt.

Azure: learn.microsoft.com/azure/reliability/regions-list and the sovereign clouds' own lists. AWS: pulumi-aws' list.
"""

from pulumi_aws import Region

AZURE = frozenset(
    """
    australiacentral australiacentral2 australiaeast australiasoutheast austriaeast belgiumcentral brazilsouth
    brazilsoutheast canadacentral canadaeast centralindia centralus chilecentral denmarkeast eastasia eastus
    eastus2 francecentral francesouth germanynorth germanywestcentral indonesiacentral israelcentral italynorth
    japaneast japanwest jioindiacentral jioindiawest koreacentral koreasouth malaysiawest mexicocentral
    newzealandnorth northcentralus northeurope norwayeast norwaywest polandcentral qatarcentral southafricanorth
    southafricawest southcentralus southeastasia southindia spaincentral swedencentral swedensouth
    switzerlandnorth switzerlandwest uaecentral uaenorth uksouth ukwest westcentralus westeurope westindia
    westus westus2 westus3 chinaeast chinaeast2 chinaeast3 chinanorth chinanorth2 chinanorth3 usgovarizona
    usgovtexas usgovvirginia
    """.split()  # noqa: SIM905  a list that people add a word to
)
AWS = frozenset(str(region.value) for region in Region)
